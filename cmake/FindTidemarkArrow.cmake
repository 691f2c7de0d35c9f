# Arrow and Parquet for C++: a system installation if there is one, else the libraries inside the pyarrow wheel of a
# virtual environment (Debian 12 packages no Arrow; scripts/setup makes the environment).
#
#   tidemark::arrow     columns, IPC, compute kernels
#   tidemark::parquet   the Parquet reader and writer
#   tidemark::arrow_s3  defined only where S3 is a library of its own
#   TidemarkArrow_RUNTIME_LIBRARIES  files that an installation must carry along; empty for a system Arrow
#
# Compute kernels are registered by arrow::compute::Initialize() (arrow/compute/initialize.h) since Arrow 21.

set(TIDEMARK_VENV "${tidemark_SOURCE_DIR}/.deps/venv" CACHE PATH "Python environment that holds the pyarrow wheel")
option(TIDEMARK_SYSTEM_ARROW "Look for an installed Arrow before the wheel" ON)

set(TidemarkArrow_RUNTIME_LIBRARIES "")

if(TIDEMARK_SYSTEM_ARROW)
  find_package(Arrow CONFIG QUIET)
  find_package(Parquet CONFIG QUIET)
  if(Arrow_FOUND AND Parquet_FOUND)
    if(Arrow_VERSION VERSION_GREATER_EQUAL 21)
      find_package(ArrowCompute CONFIG QUIET)
    endif()
    add_library(tidemark::arrow INTERFACE IMPORTED)
    target_link_libraries(tidemark::arrow INTERFACE Arrow::arrow_shared $<TARGET_NAME_IF_EXISTS:ArrowCompute::arrow_compute_shared>)
    add_library(tidemark::parquet INTERFACE IMPORTED)
    target_link_libraries(tidemark::parquet INTERFACE Parquet::parquet_shared tidemark::arrow)
    set(TidemarkArrow_LOCATION "${Arrow_DIR}")
    set(TidemarkArrow_VERSION "${Arrow_VERSION}")
  endif()
endif()

if(NOT TARGET tidemark::arrow)
  file(GLOB tidemark_pyarrow LIST_DIRECTORIES true "${TIDEMARK_VENV}/lib/python3*/site-packages/pyarrow")
  if(EXISTS "${tidemark_pyarrow}/include/arrow/api.h")
    set(TidemarkArrow_LOCATION "${tidemark_pyarrow}")
    file(STRINGS "${tidemark_pyarrow}/include/arrow/util/config.h" tidemark_line REGEX "define ARROW_VERSION_STRING")
    string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" TidemarkArrow_VERSION "${tidemark_line}")

    # The wheel carries only libNAME.so.<ABI>, without the plain .so that find_library would look for.
    function(tidemark_wheel_library target name)
      file(GLOB file "${tidemark_pyarrow}/lib${name}.so.*[0-9]")
      if(NOT file)
        return()
      endif()
      list(GET file 0 file)
      add_library(${target} SHARED IMPORTED)
      set_target_properties(${target} PROPERTIES
        IMPORTED_LOCATION "${file}"
        INTERFACE_INCLUDE_DIRECTORIES "${tidemark_pyarrow}/include"
        INTERFACE_LINK_LIBRARIES "${ARGN}")
      set(TidemarkArrow_RUNTIME_LIBRARIES "${TidemarkArrow_RUNTIME_LIBRARIES};${file}" PARENT_SCOPE)
    endfunction()

    tidemark_wheel_library(tidemark::arrow_core arrow)
    tidemark_wheel_library(tidemark::arrow_compute arrow_compute tidemark::arrow_core)
    tidemark_wheel_library(tidemark::arrow_s3 arrow_s3 tidemark::arrow_core)
    tidemark_wheel_library(tidemark::parquet parquet tidemark::arrow_core)
    if(TARGET tidemark::arrow_core AND TARGET tidemark::parquet)
      add_library(tidemark::arrow INTERFACE IMPORTED)
      target_link_libraries(tidemark::arrow INTERFACE tidemark::arrow_core)
      if(TARGET tidemark::arrow_compute)
        target_link_libraries(tidemark::arrow INTERFACE tidemark::arrow_compute)
      endif()
    endif()
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TidemarkArrow
  REQUIRED_VARS TidemarkArrow_LOCATION
  VERSION_VAR TidemarkArrow_VERSION
  REASON_FAILURE_MESSAGE "No Arrow C++ on the system and no pyarrow wheel in ${TIDEMARK_VENV}. Run scripts/setup --deps-only")
