# Tests by label: unit, simulation (built here), e2e, chaos, bench-smoke (scripts that drive build/tidemark).

# ctest starts the costliest first. Tests that drive real brokers mostly wait, so they begin at once, two at a time
# (test_resources.json), and those that compute run beside them, at a lower priority.
set(TIDEMARK_COST_chaos 50000)
set(TIDEMARK_COST_e2e 40000)
set(TIDEMARK_COST_simulation 30000)
set(TIDEMARK_COST_unit 20000)
set(TIDEMARK_COST_bench-smoke 10000)

# Set by scripts/test for the ThreadSanitizer build, which runs the same tests a second time.
set(TIDEMARK_TEST_PREFIX "" CACHE STRING "Put before the name of each unit and simulation test")

# What a sanitizer needs to know at run time; one variable, as gtest_discover_tests splits lists.
set(tidemark_sanitizer_environment "UBSAN_OPTIONS=print_stacktrace=1")
if(TIDEMARK_SANITIZE STREQUAL "thread")
  set(tidemark_sanitizer_environment
    "TSAN_OPTIONS=suppressions=${tidemark_SOURCE_DIR}/cmake/tsan.supp:ignore_noninstrumented_modules=1:atexit_sleep_ms=50")
endif()

# Defaults of the sanitizers, for every program of the sanitized build, however it is started.
set(tidemark_sanitizer_options "")
if(TIDEMARK_SANITIZE STREQUAL "address")
  set(tidemark_sanitizer_options "${tidemark_SOURCE_DIR}/tests/sanitizer_options.cc")
endif()

# Sanitized tests are compiled without optimisation: it is the code under test that takes the time when they run.
set(tidemark_test_options "")
if(TIDEMARK_SANITIZE)
  set(tidemark_test_options -O0)
endif()

if(TIDEMARK_UNIT_TESTS AND TIDEMARK_PCH)
  find_package(GTest REQUIRED)
  add_library(tidemark_test_pch OBJECT "${tidemark_BINARY_DIR}/pch.cc")
  target_link_libraries(tidemark_test_pch PRIVATE dep::absl dep::arrow dep::protobuf GTest::gmock)
  target_include_directories(tidemark_test_pch PRIVATE "${tidemark_SOURCE_DIR}")
  target_compile_options(tidemark_test_pch PRIVATE ${tidemark_test_options})
  target_precompile_headers(tidemark_test_pch PRIVATE "${tidemark_SOURCE_DIR}/cmake/test_pch.h")
endif()

# A test of the simulation runs a hundred seeds or more; the machine may be slow, and what computes has the lower priority.
set(TIDEMARK_TIMEOUT_unit 900)
set(TIDEMARK_TIMEOUT_simulation 1800)

function(tidemark_gtest name label)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${arg_SOURCES} ${tidemark_sanitizer_options})
  target_link_libraries(${name} PRIVATE ${arg_LIBS} GTest::gmock_main)
  set_target_properties(${name} PROPERTIES CROSSCOMPILING_EMULATOR "nice;-n;10")  # what a test is started with
  target_compile_options(${name} PRIVATE ${tidemark_test_options})
  if(TIDEMARK_PCH)
    target_precompile_headers(${name} REUSE_FROM tidemark_test_pch)
  endif()
  # PRE_TEST: a binary is asked for its tests by ctest, not by every build.
  gtest_discover_tests(${name}
    TEST_PREFIX "${TIDEMARK_TEST_PREFIX}${name}."
    WORKING_DIRECTORY "${tidemark_SOURCE_DIR}"
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    PROPERTIES
      LABELS ${label}
      COST ${TIDEMARK_COST_${label}}
      TIMEOUT ${TIDEMARK_TIMEOUT_${label}}
      ENVIRONMENT "${tidemark_sanitizer_environment}")
endfunction()

if(TIDEMARK_UNIT_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)

  # tests/unit/<layer>/*.cc -> unit_<layer>, linked with its layer and those below, no more.
  file(GLOB sources CONFIGURE_DEPENDS "${tidemark_SOURCE_DIR}/tests/unit/*/*.cc")
  set(folders "")
  foreach(source IN LISTS sources)
    cmake_path(GET source PARENT_PATH folder)
    list(APPEND folders "${folder}")
  endforeach()
  list(REMOVE_DUPLICATES folders)
  foreach(folder IN LISTS folders)
    cmake_path(GET folder FILENAME layer)
    set(members ${sources})
    list(FILTER members INCLUDE REGEX "^${folder}/[^/]+$")
    set(library tidemark::tidemark)
    if(TARGET tidemark_${layer})
      set(library tidemark_${layer})
    endif()
    if(layer STREQUAL plan)
      set(library tidemark_operators)  # what steps a topology can have is handed in from there
    endif()
    tidemark_gtest(unit_${layer} unit SOURCES ${members} LIBS ${library})
  endforeach()

  # tests/sim: worlds on the simulator (src/sim) as a library, their tests and its own, and one executable for each NAME_main.cc.
  file(GLOB sim_sources CONFIGURE_DEPENDS "${tidemark_SOURCE_DIR}/tests/sim/*.cc")
  set(sim_tests ${sim_sources})
  set(sim_mains ${sim_sources})
  list(FILTER sim_tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sim_mains INCLUDE REGEX "_main\\.cc$")
  list(FILTER sim_sources EXCLUDE REGEX "_(test|main)\\.cc$")
  if(sim_sources)
    add_library(tidemark_worlds STATIC ${sim_sources})
    target_link_libraries(tidemark_worlds PUBLIC tidemark::tidemark)
    tidemark_reuse_pch(tidemark_worlds)
  else()
    add_library(tidemark_worlds INTERFACE)
    target_link_libraries(tidemark_worlds INTERFACE tidemark::tidemark)
  endif()
  if(sim_tests)
    tidemark_gtest(unit_sim simulation SOURCES ${sim_tests} LIBS tidemark_worlds)
  endif()
  foreach(source IN LISTS sim_mains)
    cmake_path(GET source STEM name)
    string(REGEX REPLACE "_main$" "" name "${name}")
    add_executable(${name} "${source}" ${tidemark_sanitizer_options})
    target_link_libraries(${name} PRIVATE tidemark_worlds)
    tidemark_reuse_pch(${name})
  endforeach()

  # The example's scenarios: what must hold, times each kind of faults.
  add_test(NAME ${TIDEMARK_TEST_PREFIX}sim.scenarios
    COMMAND $<TARGET_FILE:simulate> --scenarios "${tidemark_SOURCE_DIR}/examples/htx/tests/scenarios.yaml" --seeds 1)
  set_tests_properties(${TIDEMARK_TEST_PREFIX}sim.scenarios PROPERTIES
    LABELS simulation
    COST ${TIDEMARK_COST_simulation}
    TIMEOUT ${TIDEMARK_TIMEOUT_simulation}
    ENVIRONMENT "${tidemark_sanitizer_environment}")

  # Random topologies under faults against DuckDB's SQL. Not under ThreadSanitizer: the simulator has one thread.
  if(NOT TIDEMARK_SANITIZE STREQUAL "thread")
    add_test(NAME ${TIDEMARK_TEST_PREFIX}sim.random_topologies
      COMMAND nice -n 10 "${TIDEMARK_VENV}/bin/python" "${tidemark_SOURCE_DIR}/tests/sim/random/main.py"
        --simulate $<TARGET_FILE:simulate> --random 250 --random_long 1000)
    set_tests_properties(${TIDEMARK_TEST_PREFIX}sim.random_topologies PROPERTIES
      LABELS simulation
      COST ${TIDEMARK_COST_simulation}
      PROCESSORS 2
      TIMEOUT ${TIDEMARK_TIMEOUT_simulation}
      ENVIRONMENT "${tidemark_sanitizer_environment};PYTHONUNBUFFERED=1")
    if(TIDEMARK_MUTATIONS)
      foreach(mutation IN ITEMS join_side_cleaned_by_its_own_time unmatched_row_emitted_early
          version_taken_before_watermark alert_raised_twice over_rows_not_written matches_not_taken_back
          told_window_forgotten alert_timer_lost)
        set(with match)
        if(mutation MATCHES "^version")
          set(with versions)
        elseif(mutation MATCHES "^alert")
          set(with alert)
        elseif(mutation MATCHES "^over")
          set(with over)
        elseif(mutation MATCHES "^matches")
          set(with tables)
        elseif(mutation MATCHES "^told")
          set(with hopping)
        endif()
        add_test(NAME ${TIDEMARK_TEST_PREFIX}sim.random_topologies.${mutation}
          COMMAND nice -n 10 "${TIDEMARK_VENV}/bin/python" "${tidemark_SOURCE_DIR}/tests/sim/random/main.py"
            --simulate $<TARGET_FILE:simulate> --random 40 --with ${with} --mutation ${mutation} --no-shrink)
        set_tests_properties(${TIDEMARK_TEST_PREFIX}sim.random_topologies.${mutation} PROPERTIES
          LABELS simulation
          COST ${TIDEMARK_COST_simulation}
          TIMEOUT ${TIDEMARK_TIMEOUT_simulation}
          ENVIRONMENT "${tidemark_sanitizer_environment};PYTHONUNBUFFERED=1")
      endforeach()
    endif()
  endif()

  # tests/tools/NAME.cc -> NAME, for the tests that are scripts: our side of a comparison with another system.
  file(GLOB tools CONFIGURE_DEPENDS "${tidemark_SOURCE_DIR}/tests/tools/*.cc")
  foreach(source IN LISTS tools)
    cmake_path(GET source STEM name)
    add_executable(${name} "${source}")
    target_link_libraries(${name} PRIVATE tidemark_expr)
    tidemark_reuse_pch(${name})
  endforeach()

  add_test(NAME ${TIDEMARK_TEST_PREFIX}unit_check_layers COMMAND ${Python3_EXECUTABLE} "${tidemark_SOURCE_DIR}/scripts/check_layers" --self-test)
  set_tests_properties(${TIDEMARK_TEST_PREFIX}unit_check_layers PROPERTIES LABELS unit COST ${TIDEMARK_COST_unit})
endif()

# tests/e2e/test_NAME.py -> e2e.NAME, and so on. Each starts its own broker.
function(tidemark_python_tests label folder prefix)
  file(GLOB scripts CONFIGURE_DEPENDS "${tidemark_SOURCE_DIR}/${folder}/test_*.py")
  foreach(script IN LISTS scripts)
    cmake_path(GET script STEM name)
    string(REGEX REPLACE "^test_" "" name "${name}")
    add_test(NAME ${prefix}.${name}
      COMMAND "${TIDEMARK_VENV}/bin/python" "${script}"
      WORKING_DIRECTORY "${tidemark_SOURCE_DIR}")
    set_tests_properties(${prefix}.${name} PROPERTIES
      LABELS ${label}
      COST ${TIDEMARK_COST_${label}}
      RESOURCE_GROUPS "brokers:1"
      TIMEOUT 900
      ENVIRONMENT "TIDEMARK_BIN=${tidemark_BINARY_DIR}/tidemark;TIDEMARK_ROOT=${tidemark_SOURCE_DIR};PYTHONUNBUFFERED=1")
  endforeach()
endfunction()

if(TIDEMARK_SYSTEM_TESTS)
  # For LD_PRELOAD under the shipped binary: one says what a power failure would take away, one is a disk that fails.
  foreach(name IN ITEMS unsynced faulty)
    add_library(tidemark_${name} SHARED "${tidemark_SOURCE_DIR}/tests/chaos/${name}.cc")
    set_target_properties(tidemark_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${tidemark_BINARY_DIR}")
    target_link_libraries(tidemark_${name} PRIVATE ${CMAKE_DL_LIBS})
  endforeach()

  tidemark_python_tests(e2e tests/e2e e2e)
  tidemark_python_tests(chaos tests/chaos chaos)
  # Shows that scripts/bench measures and checks; it needs the tools below.
  if(TIDEMARK_BENCH)
    tidemark_python_tests(bench-smoke tests/bench bench)
    set_tests_properties(bench.smoke PROPERTIES RUN_SERIAL TRUE)
  endif()
endif()

if(TIDEMARK_BENCH)
  # What scripts/bench runs beside Tidemark: the load, the latency reader, and W1 by hand. No part of Tidemark is in them
  # but the shape of the generated data.
  add_executable(bench_load bench/load/load.cc src/cli/generate_data.cc)
  add_executable(bench_wide_ids bench/load/wide_ids.cc src/cli/generate_data.cc)
  add_executable(bench_nexmark bench/nexmark/generate.cc bench/nexmark/events.cc)
  add_executable(bench_latency bench/load/latency.cc)
  add_executable(bench_posts bench/load/posts.cc)
  add_executable(bench_burst bench/load/burst.cc)
  add_executable(bench_by_hand bench/peers/native/by_hand.cc)
  set(tools bench_load bench_wide_ids bench_nexmark bench_latency bench_posts bench_burst bench_by_hand)
  add_custom_target(bench_tools DEPENDS ${tools})
  foreach(tool IN LISTS tools)
    target_include_directories(${tool} PRIVATE "${tidemark_SOURCE_DIR}")
    target_link_libraries(${tool} PRIVATE dep::absl dep::gflags dep::rdkafka dep::malloc Threads::Threads)
  endforeach()
  target_link_libraries(bench_by_hand PRIVATE dep::rocksdb)

  # W3's two operators are a user's own: tidemark with them.
  add_executable(bench_shuffle bench/shuffle/main.cc bench/shuffle/operators.cc)
  target_link_libraries(bench_shuffle PRIVATE tidemark::tidemark dep::malloc)
  tidemark_reuse_pch(bench_shuffle)
  add_dependencies(bench_tools bench_shuffle)

  # Operators over the state layer without Kafka: memory, CPU and disk reads for as many ids or groups as one likes.
  foreach(name IN ITEMS dedup_memory group_bytes group_memory join_memory table_memory)
    add_executable(bench_${name} bench/${name}.cc)
    target_link_libraries(bench_${name} PRIVATE tidemark_operators dep::malloc)
    tidemark_reuse_pch(bench_${name})
  endforeach()

  find_package(benchmark CONFIG QUIET)
  file(GLOB benches CONFIGURE_DEPENDS "${tidemark_SOURCE_DIR}/bench/micro/*_bench.cc")
  if(benchmark_FOUND)
    foreach(source IN LISTS benches)
      cmake_path(GET source STEM name)
      add_executable(${name} "${source}")
      target_link_libraries(${name} PRIVATE tidemark::tidemark benchmark::benchmark_main)
      tidemark_reuse_pch(${name})
      # Not for the figures: shows that it still runs. scripts and people run it for real.
      if(TIDEMARK_SYSTEM_TESTS)
        add_test(NAME bench.${name} COMMAND ${name} --benchmark_min_time=0.001)
        set_tests_properties(bench.${name} PROPERTIES
          LABELS bench-smoke COST ${TIDEMARK_COST_bench-smoke} RUN_SERIAL TRUE TIMEOUT 60)
      endif()
    endforeach()
  endif()
endif()
