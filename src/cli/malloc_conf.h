// How memory is allocated, as jemalloc reads it when a process starts: for `extern "C" const char* malloc_conf` of the
// worker, and of what measures as one.
//
// One arena, which threads reach seldom, through large caches of their own: records are made by one thread and freed by
// another, and an arena for each thread or processor keeps what the others could use. Tables of state are read at
// random: with pages of 4 KiB the translation of their addresses costs more than reading them. What is freed goes back
// to the system after ten minutes, as a page the system gives costs more than all that is done with it; free neighbours
// that have become large together don't go at once (oversize_threshold). Besides, the system fills huge pages of which
// parts have gone back, and nobody gives those back again: with a decay of 1 s a join that keeps 25 million rows held
// 110 MiB so.
#pragma once

namespace tidemark {

inline constexpr char kMallocConf[] =
    "narenas:1,bin_shards:8-8192:4,lg_tcache_max:16,tcache_nslots_small_max:2000,lg_tcache_nslots_mul:3,thp:always,"
    "dirty_decay_ms:600000,muzzy_decay_ms:0,oversize_threshold:0";

}  // namespace tidemark
