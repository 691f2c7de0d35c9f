#include "src/codec/protobuf/known_imports.h"

namespace tidemark {
namespace {

constexpr char kMeta[] = R"(syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; repeated Rule rules = 4; }
message Rule { string name = 1; string doc = 2; string expr = 3; string sql = 4; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
)";
constexpr char kDecimal[] = R"(syntax = "proto3";
package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
)";
constexpr char kVariant[] = R"(syntax = "proto3";
package confluent.type;
message Variant { bytes metadata = 1; bytes value = 2; }
)";
constexpr char kDate[] = R"(syntax = "proto3";
package google.type;
message Date { int32 year = 1; int32 month = 2; int32 day = 3; }
)";
constexpr char kTimeOfDay[] = R"(syntax = "proto3";
package google.type;
message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }
)";
constexpr char kMoney[] = R"(syntax = "proto3";
package google.type;
message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }
)";
constexpr char kLatLng[] = R"(syntax = "proto3";
package google.type;
message LatLng { double latitude = 1; double longitude = 2; }
)";

struct Known {
  std::string_view name;
  const char* text;
};
constexpr Known kKnown[] = {
    {"confluent/meta.proto", kMeta},
    {"confluent/type/decimal.proto", kDecimal},
    {"confluent/type/variant.proto", kVariant},
    {"google/type/date.proto", kDate},
    {"google/type/timeofday.proto", kTimeOfDay},
    {"google/type/money.proto", kMoney},
    {"google/type/latlng.proto", kLatLng},
};

}  // namespace

const char* KnownImport(std::string_view name) {
  for (const Known& known : kKnown) {
    if (known.name == name) return known.text;
  }
  return nullptr;
}

}  // namespace tidemark
