#include "src/cli/init.h"

namespace tidemark {

std::string StarterTopology() {
  return R"yaml(# A Tidemark topology. Check it with `tidemark validate --config topology.yaml`, look at it with `tidemark describe`,
# run it with `tidemark run`. ${X} is the environment variable X, ${X:-y} is y where X is unset.

# Prefix of group ids, transactional ids and internal topics. State belongs to it: changing it starts afresh.
name: shop

kafka:
  brokers: "${KAFKA_BROKERS:-localhost:9092}"
  # properties: { security.protocol: SASL_SSL }   # any property of librdkafka

# commit_interval: 100ms    # output becomes visible at commits
# memory: 2GiB              # for state, caches and queues of the whole process

sources:
  orders:
    topic: orders
    start: earliest         # or latest, or a time: only where the group has no position yet
    key_format: text        # the record key is the order_id as text; lets partitioned_by be checked
    partitioned_by: [order_id]
    columns:                # JSON fields; `name: type` is short for { type: ... } and means required
      order_id: int64
      customer_id: int64
      amount: { type: "decimal(12,2)" }
      country: { type: string, path: address.country, nullable: true }
      ordered_at: timestamp # RFC 3339 text; timestamp_s, timestamp_ms and timestamp_us are numbers
    event_time:
      column: ordered_at
      max_out_of_orderness: 5s   # how much later than its successors a row may come

tables:
  customers:                # a compacted topic, held whole in every worker
    topic: customers
    key: [customer_id]
    columns:
      customer_id: int64
      segment: string

steps:
  unique_orders:            # producers that retry write some orders twice
    from: orders
    dedup: { by: [order_id], within: 24h }

  large_orders:
    from: unique_orders
    filter: "amount >= 10"

  segmented_orders:
    from: large_orders
    join: { table: customers, on: [customer_id], type: inner }

  segment_minutes:          # one row for each segment and minute, when the minute is over
    from: segmented_orders
    window: { tumbling: 1m, grace: 5s }
    group_by: [segment]
    aggregates: { orders: "count(*)", revenue: "sum(amount)" }
    emit: on_close          # or on_update: every change at once, for upsert sinks

sinks:
  segment_revenue:
    from: segment_minutes
    topic: segment_revenue
    key: [segment]
    create: {}              # made where it is missing

  # A PostgreSQL table, created from the columns of the step.
  # segment_table:
  #   from: segment_minutes
  #   postgres: { url: "${DATABASE_URL}", table: segment_minutes, key: [segment, window_start] }

  # Parquet files that DuckDB and Spark read as they are.
  # lake:
  #   from: segmented_orders
  #   parquet: { path: "${LAKE:-lake}/orders", partition_by: ["date(ordered_at)"] }
)yaml";
}

}  // namespace tidemark
