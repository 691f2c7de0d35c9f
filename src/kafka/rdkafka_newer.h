// What this build uses of librdkafka that is younger than the headers it may be compiled with: the library is of 2.4 at
// least (cmake/FindTidemarkRdKafka.cmake), the system's headers may be of 2.0. Declared as librdkafka's own header of
// 2.4 does; left to that one where it is there.
#pragma once

#include <librdkafka/rdkafka.h>

#if RD_KAFKA_VERSION < 0x02040000

extern "C" {

typedef rd_kafka_event_t rd_kafka_DescribeTopics_result_t;
typedef rd_kafka_event_t rd_kafka_ListOffsets_result_t;
typedef struct rd_kafka_Uuid_s rd_kafka_Uuid_t;
typedef struct rd_kafka_TopicCollection_s rd_kafka_TopicCollection_t;
typedef struct rd_kafka_TopicDescription_s rd_kafka_TopicDescription_t;
typedef struct rd_kafka_TopicPartitionInfo_s rd_kafka_TopicPartitionInfo_t;
typedef struct rd_kafka_ListOffsetsResultInfo_s rd_kafka_ListOffsetsResultInfo_t;
typedef enum rd_kafka_IsolationLevel_t {
  RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED = 0,
  RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED = 1
} rd_kafka_IsolationLevel_t;

const char* rd_kafka_Uuid_base64str(const rd_kafka_Uuid_t* uuid);

rd_kafka_TopicCollection_t* rd_kafka_TopicCollection_of_topic_names(const char** topics, size_t topics_cnt);
void rd_kafka_TopicCollection_destroy(rd_kafka_TopicCollection_t* topics);
void rd_kafka_DescribeTopics(rd_kafka_t* rk, const rd_kafka_TopicCollection_t* topics,
                             const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* rkqu);
const rd_kafka_DescribeTopics_result_t* rd_kafka_event_DescribeTopics_result(rd_kafka_event_t* rkev);
const rd_kafka_TopicDescription_t** rd_kafka_DescribeTopics_result_topics(
    const rd_kafka_DescribeTopics_result_t* result, size_t* cntp);
const char* rd_kafka_TopicDescription_name(const rd_kafka_TopicDescription_t* topicdesc);
const rd_kafka_Uuid_t* rd_kafka_TopicDescription_topic_id(const rd_kafka_TopicDescription_t* topicdesc);
const rd_kafka_TopicPartitionInfo_t** rd_kafka_TopicDescription_partitions(const rd_kafka_TopicDescription_t* topicdesc,
                                                                           size_t* cntp);
const rd_kafka_error_t* rd_kafka_TopicDescription_error(const rd_kafka_TopicDescription_t* topicdesc);

rd_kafka_error_t* rd_kafka_AdminOptions_set_isolation_level(rd_kafka_AdminOptions_t* options,
                                                            rd_kafka_IsolationLevel_t value);
void rd_kafka_ListOffsets(rd_kafka_t* rk, rd_kafka_topic_partition_list_t* topic_partitions,
                          const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* rkqu);
const rd_kafka_ListOffsets_result_t* rd_kafka_event_ListOffsets_result(rd_kafka_event_t* rkev);
const rd_kafka_ListOffsetsResultInfo_t** rd_kafka_ListOffsets_result_infos(const rd_kafka_ListOffsets_result_t* result,
                                                                           size_t* cntp);
const rd_kafka_topic_partition_t* rd_kafka_ListOffsetsResultInfo_topic_partition(
    const rd_kafka_ListOffsetsResultInfo_t* result_info);

}  // extern "C"

#endif

namespace tidemark::rdkafka {

// Values of rd_kafka_admin_op_t and rd_kafka_OffsetSpec_t, by number for the same reason.
inline constexpr int kAdminOpDescribeTopics = 19;
inline constexpr int kAdminOpListOffsets = 21;
inline constexpr int64_t kOffsetSpecLatest = -1;
inline constexpr int64_t kOffsetSpecEarliest = -2;

}  // namespace tidemark::rdkafka
