# librdkafka: a system installation if it is of the releases that are known to do, 2.4 to 2.10, else the library inside
# the confluent-kafka wheel of a virtual environment (Debian 12 has 2.0.2; scripts/setup makes the environment). Before 2.4
# the main thread of every client spins for up to a millisecond before each of its timers, which doubles the processor time
# of a worker that commits often, and a full queue is looked at again only after a second. With 2.16
# send_offsets_to_transaction may never return once a broker was killed; those between weren't tried.
#
#   tidemark::rdkafka
#   TidemarkRdKafka_RUNTIME_LIBRARIES  files that an installation must carry along; empty for a system librdkafka
#
# The wheel brings no headers. The system's are used, of whatever version: within 2.x the interface only grows. Nor does
# it bring Kerberos (sasl.mechanism GSSAPI): who needs that installs a librdkafka of their own.

set(TidemarkRdKafka_RUNTIME_LIBRARIES "")
find_path(TIDEMARK_RDKAFKA_INCLUDE librdkafka/rdkafka.h)
mark_as_advanced(TIDEMARK_RDKAFKA_INCLUDE)
pkg_check_modules(TIDEMARK_RDKAFKA_PC QUIET rdkafka)
if(TIDEMARK_RDKAFKA_PC_VERSION VERSION_GREATER_EQUAL 2.4 AND TIDEMARK_RDKAFKA_PC_VERSION VERSION_LESS 2.11)
  find_library(TIDEMARK_RDKAFKA_LIBRARY rdkafka)
  mark_as_advanced(TIDEMARK_RDKAFKA_LIBRARY)
  set(TidemarkRdKafka_LOCATION "${TIDEMARK_RDKAFKA_LIBRARY}")
else()
  file(GLOB TidemarkRdKafka_LOCATION
    "${TIDEMARK_VENV}/lib/python3*/site-packages/confluent_kafka.libs/librdkafka-*.so.1")
  set(TidemarkRdKafka_RUNTIME_LIBRARIES "${TidemarkRdKafka_LOCATION}")
endif()

if(TidemarkRdKafka_LOCATION AND TIDEMARK_RDKAFKA_INCLUDE)
  add_library(tidemark::rdkafka SHARED IMPORTED)
  set_target_properties(tidemark::rdkafka PROPERTIES
    IMPORTED_LOCATION "${TidemarkRdKafka_LOCATION}"
    INTERFACE_INCLUDE_DIRECTORIES "${TIDEMARK_RDKAFKA_INCLUDE}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TidemarkRdKafka
  REQUIRED_VARS TidemarkRdKafka_LOCATION TIDEMARK_RDKAFKA_INCLUDE
  REASON_FAILURE_MESSAGE "No librdkafka of 2.4 to 2.10 on the system and none in ${TIDEMARK_VENV}. Run scripts/setup --deps-only")
