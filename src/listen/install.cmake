# libsynward: one shared library of every layer below the listener.  Only synward_* is exported.
add_library(synward_shared SHARED $<TARGET_OBJECTS:synward_listen>
  $<TARGET_OBJECTS:synward_steer> $<TARGET_OBJECTS:synward_front>
  $<TARGET_OBJECTS:synward_handoff> $<TARGET_OBJECTS:synward_core>)
set_target_properties(synward_shared PROPERTIES OUTPUT_NAME synward VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_libraries(synward_shared
  PRIVATE synward_flags OpenSSL::Crypto PkgConfig::BPF PkgConfig::MNL Threads::Threads
  PUBLIC PkgConfig::EVENT)
target_link_options(synward_shared PRIVATE
  -Wl,--no-undefined,--version-script=${CMAKE_SOURCE_DIR}/src/listen/synward.map)
target_include_directories(synward_shared INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# Relative, so that a tree installed with --prefix or moved later works.
file(RELATIVE_PATH SYNWARD_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
  ${CMAKE_INSTALL_PREFIX})
configure_file(src/listen/synward.pc.in ${CMAKE_BINARY_DIR}/synward.pc @ONLY)
configure_file(src/listen/synward-config.cmake.in ${CMAKE_BINARY_DIR}/synward-config.cmake @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/synward-config-version.cmake
  COMPATIBILITY SameMinorVersion)

install(TARGETS synward RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT synward)
install(TARGETS synward_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  COMPONENT libsynward NAMELINK_COMPONENT libsynward)
install(DIRECTORY include/synward DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT libsynward)
install(FILES ${CMAKE_BINARY_DIR}/synward.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT libsynward)
install(FILES ${CMAKE_BINARY_DIR}/synward-config.cmake
  ${CMAKE_BINARY_DIR}/synward-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/synward COMPONENT libsynward)
