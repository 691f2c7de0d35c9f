# Every external library, found once, as dep::NAME. Imported targets put their headers on the system path, so that
# -Werror concerns our own code only.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_package(Protobuf REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(gflags CONFIG REQUIRED)
find_package(glog CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core)
find_package(TidemarkArrow REQUIRED)
find_package(TidemarkRdKafka REQUIRED)

function(tidemark_dep name)
  add_library(dep_${name} INTERFACE)
  add_library(dep::${name} ALIAS dep_${name})
  target_link_libraries(dep_${name} INTERFACE ${ARGN})
endfunction()

# A library that brings no CMake package. RocksDB brings one, but it asks for find modules that Debian lacks.
function(tidemark_plain_dep name library header)
  find_library(TIDEMARK_${name}_LIBRARY ${library} REQUIRED)
  find_path(TIDEMARK_${name}_INCLUDE ${header} REQUIRED)
  mark_as_advanced(TIDEMARK_${name}_LIBRARY TIDEMARK_${name}_INCLUDE)
  tidemark_dep(${name} "${TIDEMARK_${name}_LIBRARY}")
  target_include_directories(dep_${name} SYSTEM INTERFACE "${TIDEMARK_${name}_INCLUDE}")
endfunction()

tidemark_dep(protobuf protobuf::libprotobuf)
tidemark_dep(absl
  absl::base absl::cleanup absl::core_headers absl::flat_hash_map absl::flat_hash_set absl::btree absl::hash
  absl::inlined_vector absl::int128 absl::function_ref absl::random_random absl::span absl::status absl::statusor
  absl::strings absl::str_format absl::cord absl::synchronization absl::time)
tidemark_dep(arrow tidemark::arrow)
tidemark_dep(parquet tidemark::parquet $<TARGET_NAME_IF_EXISTS:tidemark::arrow_s3>)
tidemark_dep(rdkafka tidemark::rdkafka)
tidemark_dep(glog glog::glog)
tidemark_dep(gflags gflags)
tidemark_dep(yaml yaml-cpp)
tidemark_dep(crypto OpenSSL::Crypto)
tidemark_dep(prometheus prometheus-cpp::core)
tidemark_plain_dep(rocksdb rocksdb rocksdb/db.h)
tidemark_plain_dep(pg_query pg_query pg_query.h)
# RE2, as an archive of which all is taken and nothing is exported: pyarrow's libarrow_compute exports another version of
# it under the same names, which the linker would take parts from, or the loader would mix with ours.
find_library(TIDEMARK_re2_LIBRARY libre2.a REQUIRED)
find_path(TIDEMARK_re2_INCLUDE re2/re2.h REQUIRED)
mark_as_advanced(TIDEMARK_re2_LIBRARY TIDEMARK_re2_INCLUDE)
tidemark_dep(re2 "-Wl,--whole-archive,${TIDEMARK_re2_LIBRARY},--no-whole-archive,--exclude-libs,libre2.a" Threads::Threads)
target_include_directories(dep_re2 SYSTEM INTERFACE "${TIDEMARK_re2_INCLUDE}")
# Header only: libpg_query exports XXH* symbols of its own, which must not be mixed with libxxhash's.
find_path(TIDEMARK_xxhash_INCLUDE xxhash.h REQUIRED)
mark_as_advanced(TIDEMARK_xxhash_INCLUDE)
tidemark_dep(xxhash)
target_include_directories(dep_xxhash SYSTEM INTERFACE "${TIDEMARK_xxhash_INCLUDE}")
target_compile_definitions(dep_xxhash INTERFACE XXH_INLINE_ALL)

# CMake's own FindPostgreSQL wants the server's headers too.
pkg_check_modules(TIDEMARK_LIBPQ REQUIRED IMPORTED_TARGET libpq)
tidemark_dep(postgres PkgConfig::TIDEMARK_LIBPQ)

# Debian builds cpp-httplib as a library; its macros must equal those that the library was compiled with.
pkg_check_modules(TIDEMARK_HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
tidemark_dep(httplib PkgConfig::TIDEMARK_HTTPLIB OpenSSL::SSL OpenSSL::Crypto Threads::Threads)

# Files that land: archives, OpenPGP, XML.
pkg_check_modules(TIDEMARK_LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive)
tidemark_dep(archive PkgConfig::TIDEMARK_LIBARCHIVE)
pkg_check_modules(TIDEMARK_RNP REQUIRED IMPORTED_TARGET librnp)
tidemark_dep(rnp PkgConfig::TIDEMARK_RNP)
pkg_check_modules(TIDEMARK_LIBXML REQUIRED IMPORTED_TARGET libxml-2.0)
tidemark_dep(xml PkgConfig::TIDEMARK_LIBXML)

pkg_check_modules(TIDEMARK_MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
tidemark_dep(microhttpd PkgConfig::TIDEMARK_MICROHTTPD)
pkg_check_modules(TIDEMARK_GNUTLS REQUIRED IMPORTED_TARGET gnutls)
tidemark_dep(gnutls PkgConfig::TIDEMARK_GNUTLS)

# jemalloc returns the memory of RocksDB and Arrow buffers to the system better than glibc; sanitizers bring their own.
tidemark_dep(malloc)
find_library(TIDEMARK_JEMALLOC jemalloc)
mark_as_advanced(TIDEMARK_JEMALLOC)
if(TIDEMARK_JEMALLOC AND NOT TIDEMARK_SANITIZE)
  target_link_libraries(dep_malloc INTERFACE "${TIDEMARK_JEMALLOC}")
endif()
