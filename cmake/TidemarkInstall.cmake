# bin/tidemark, with the wheels' libraries in lib/tidemark beside it, found relative to the binary.
include(GNUInstallDirs)
set(tidemark_private_libs "${CMAKE_INSTALL_LIBDIR}/tidemark")
set_target_properties(tidemark PROPERTIES INSTALL_RPATH "$ORIGIN/../${tidemark_private_libs}")
install(TARGETS tidemark RUNTIME)
install(FILES ${TidemarkArrow_RUNTIME_LIBRARIES} ${TidemarkRdKafka_RUNTIME_LIBRARIES} DESTINATION "${tidemark_private_libs}")
