# How everything is compiled and linked. Nothing third-party is built here, so directory-wide flags are safe.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  # Sanitized builds want assertions, hence Debug; its -O0 is raised below.
  set(tidemark_build_type Release)
  if(TIDEMARK_SANITIZE)
    set(tidemark_build_type Debug)
  endif()
  set(CMAKE_BUILD_TYPE ${tidemark_build_type} CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()

# A designated initializer leaves out fields on purpose: they keep their defaults.
add_compile_options(-Wall -Wextra -Wno-missing-field-initializers)
if(TIDEMARK_WERROR)
  add_compile_options(-Werror)
endif()
if(TIDEMARK_MARCH)
  add_compile_options(-march=${TIDEMARK_MARCH})
endif()

# Of the undefined behaviour that is looked for, null, alignment, object-size and vptr are left out: a null pointer is found
# by its access, and these four make up most of the checks and nearly half of the time to compile a test.
# -O1 -g1: unoptimised sanitized code is several times slower to run, full debug information slower to build and
# link; function names and lines in reports are all that is needed.
if(TIDEMARK_SANITIZE STREQUAL "address")
  set(tidemark_sanitizers -fsanitize=address,undefined -fno-sanitize=null,alignment,object-size,vptr
    -fno-sanitize-recover=all)
elseif(TIDEMARK_SANITIZE STREQUAL "thread")
  # Instrumented, an empty optional looks to GCC as if it were read.
  set(tidemark_sanitizers -fsanitize=thread -Wno-maybe-uninitialized)
elseif(TIDEMARK_SANITIZE)
  message(FATAL_ERROR "TIDEMARK_SANITIZE is '${TIDEMARK_SANITIZE}'; expected address, thread or nothing")
endif()
if(TIDEMARK_SANITIZE)
  add_compile_options(${tidemark_sanitizers} -O1 -g1 -fno-omit-frame-pointer)
  add_link_options(${tidemark_sanitizers})
endif()

if(TIDEMARK_FAILPOINTS)
  add_compile_definitions(TIDEMARK_WITH_FAILPOINTS)
endif()
if(TIDEMARK_MUTATIONS)
  add_compile_definitions(TIDEMARK_WITH_MUTATIONS)
endif()

# mold links the test binaries against the large Arrow libraries in a fraction of the time.
find_program(TIDEMARK_MOLD mold)
mark_as_advanced(TIDEMARK_MOLD)
if(TIDEMARK_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# ccache: the sloppiness lets it serve files that use the precompiled header; NOHASHDIR shares results between build
# folders and checkouts.
find_program(TIDEMARK_CCACHE ccache)
mark_as_advanced(TIDEMARK_CCACHE)
if(TIDEMARK_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    "${CMAKE_COMMAND}" -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_NOHASHDIR=1
    "CCACHE_BASEDIR=${tidemark_SOURCE_DIR}"
    "${TIDEMARK_CCACHE}")
endif()
