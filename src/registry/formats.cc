#include "src/registry/formats.h"

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/codec/avro/format.h"
#include "src/codec/debezium/format.h"
#include "src/codec/json/format.h"
#include "src/codec/protobuf/format.h"

namespace tidemark {

TopologyFormats::TopologyFormats(const RegistrySpec& spec) {
  if (spec.none()) return;
  registry_ = std::make_unique<RegistryClient>(spec);
  json_ = MakeJsonFormat(registry_.get());
  formats_.Set(json_.get());
  avro_ = MakeAvroFormat(registry_.get());
  formats_.Set(avro_.get());
  debezium_ = MakeDebeziumFormat(registry_.get());
  formats_.Set(debezium_.get());
  protobuf_ = MakeProtobufFormat(registry_.get());
  formats_.Set(protobuf_.get());
}

absl::StatusOr<std::string> TopologyFormats::Schemas(const Plan& plan, bool register_them) {
  std::string lines;
  if (registry_ == nullptr) return lines;
  for (const SinkPlan& sink : plan.sinks) {
    const auto* const kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka == nullptr) continue;
    for (const bool key : {true, false}) {
      if (key && kafka->key.empty()) continue;
      TM_ASSIGN_OR_RETURN(const auto schema, formats_.Registers(key ? kafka->key_format : kafka->format, sink.schema,
                                                                key ? kafka->key : kafka->value));
      if (!schema) continue;
      const absl::Status status = register_them ? registry_->Register(schema->subject, schema->schema)
                                                : registry_->CheckCompatible(schema->subject, schema->schema);
      TM_RETURN_IF_ERROR(Annotate(status, "sink " + sink.name));
      absl::StrAppend(&lines, "sink ", sink.name, ": subject ", schema->subject, " of ", registry_->name(),
                      register_them ? " has its schema\n" : " takes its schema\n");
    }
  }
  return lines;
}

// Never destroyed, as OwnFormats.
const Formats& PlanningFormats() {
  static const auto& formats = *[] {
    auto* own = new Formats();
    const TakeSchema take = [](const RegistrySpec& spec, const std::string& subject) {
      return RegistryClient(spec).Latest(subject);
    };
    own->Set(MakeJsonFormat(take).release());
    own->Set(MakeAvroFormat(take).release());
    own->Set(MakeProtobufFormat(take).release());
    return own;
  }();
  return formats;
}

}  // namespace tidemark
