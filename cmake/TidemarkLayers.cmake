# One static library a layer, made of whatever .cc files lie in its folder: adding a file needs no edit here.
# A layer without .cc files becomes a header-only target, so that those above it can name it all the same.

set(TIDEMARK_TOP_LAYER "")

function(tidemark_layer_target name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  if(arg_SOURCES)
    add_library(tidemark_${name} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
  else()
    add_library(tidemark_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  # Includes are rooted at the repository: "src/base/batch.h", "state/store.h".
  target_include_directories(tidemark_${name} ${scope} "${tidemark_SOURCE_DIR}")
  target_link_libraries(tidemark_${name} ${scope} ${TIDEMARK_TOP_LAYER} ${arg_DEPS})
  set(TIDEMARK_TOP_LAYER tidemark_${name} PARENT_SCOPE)
endfunction()

function(tidemark_add_layer name folder)
  cmake_parse_arguments(arg "" "" "DEPS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${tidemark_SOURCE_DIR}/${folder}/*.cc")
  tidemark_layer_target(${name} SOURCES ${sources} DEPS ${arg_DEPS})
  tidemark_reuse_pch(tidemark_${name})
  set(TIDEMARK_TOP_LAYER ${TIDEMARK_TOP_LAYER} PARENT_SCOPE)
endfunction()

# proto/x.proto becomes "proto/x.pb.h", in the build tree. Generated code is not ours to keep free of warnings.
function(tidemark_add_proto_layer)
  cmake_parse_arguments(arg "" "" "DEPS" ${ARGN})
  file(GLOB protos CONFIGURE_DEPENDS "${tidemark_SOURCE_DIR}/proto/*.proto")
  set(generated_root "${tidemark_BINARY_DIR}/generated")
  file(MAKE_DIRECTORY "${generated_root}/proto")
  set(sources "")
  foreach(proto IN LISTS protos)
    cmake_path(GET proto STEM stem)
    set(out "${generated_root}/proto/${stem}.pb")
    add_custom_command(
      OUTPUT "${out}.cc" "${out}.h"
      COMMAND protobuf::protoc --proto_path=${tidemark_SOURCE_DIR} --cpp_out=${generated_root} ${proto}
      # A proto may import any other; there are few, so each depends on all.
      DEPENDS ${protos} protobuf::protoc
      COMMENT "Generating proto/${stem}.pb.h"
      VERBATIM)
    list(APPEND sources "${out}.cc" "${out}.h")
  endforeach()
  tidemark_layer_target(proto SOURCES ${sources} DEPS ${arg_DEPS})
  if(protos)
    target_compile_options(tidemark_proto PRIVATE -w)
    target_include_directories(tidemark_proto SYSTEM PUBLIC "${generated_root}")
  endif()
  set(TIDEMARK_TOP_LAYER ${TIDEMARK_TOP_LAYER} PARENT_SCOPE)
endfunction()

# The page that workers serve: its files become the constants of src/status/page.h. No tool but cmake is needed for it.
function(tidemark_embed_page layer folder)
  foreach(file IN ITEMS page.html page.css page.js charts.js dashboard.js letters.js rows.js)
    # page.css is TIDEMARK_PAGE_CSS, charts.js TIDEMARK_PAGE_CHARTS.
    string(REGEX REPLACE "^page\\.|\\.js$" "" name "${file}")
    string(TOUPPER "TIDEMARK_PAGE_${name}" name)
    file(READ "${tidemark_SOURCE_DIR}/${folder}/${file}" ${name})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${tidemark_SOURCE_DIR}/${folder}/${file}")
  endforeach()
  configure_file("${tidemark_SOURCE_DIR}/${folder}/page.cc.in" "${tidemark_BINARY_DIR}/generated/page.cc" @ONLY)
  target_sources(tidemark_${layer} PRIVATE "${tidemark_BINARY_DIR}/generated/page.cc")
endfunction()

# One precompiled header serves every target: all are compiled with the same flags.
if(TIDEMARK_PCH)
  file(CONFIGURE OUTPUT "${tidemark_BINARY_DIR}/pch.cc" CONTENT "// Only carries the precompiled header.\n")
  add_library(tidemark_pch OBJECT "${tidemark_BINARY_DIR}/pch.cc")
  target_link_libraries(tidemark_pch PRIVATE dep::absl dep::arrow dep::protobuf)
  target_precompile_headers(tidemark_pch PRIVATE "${tidemark_SOURCE_DIR}/cmake/pch.h")
endif()

function(tidemark_reuse_pch target)
  get_target_property(type ${target} TYPE)
  if(TIDEMARK_PCH AND NOT type STREQUAL "INTERFACE_LIBRARY")
    target_precompile_headers(${target} REUSE_FROM tidemark_pch)
  endif()
endfunction()
