// The hash by which Kafka's Java client spreads keys over partitions: 32-bit MurmurHash2 with the client's seed.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidemark {

uint32_t Murmur2(std::string_view key);
// The client's default partitioner: toPositive(murmur2(key)) % partitions.
int32_t JavaPartition(std::string_view key, int32_t partitions);

}  // namespace tidemark
