# SPDX-License-Identifier: MIT
# Manual pages, conf/ and the Debian packages: cpack -G DEB.
#
#	synward          the program, its unit, configuration and manual
#	libsynward-dev   the library and its header
install(FILES docs/man/synward.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 COMPONENT synward)
install(FILES docs/man/synward.yaml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5 COMPONENT synward)
install(FILES docs/man/synward-cookies.7 docs/man/synward-metrics.7
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man7 COMPONENT synward)
install(FILES conf/bash-completion/synward
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT synward)
install(FILES conf/sysctl.d/60-synward.conf DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/sysctl.d
  COMPONENT synward)
file(GLOB synward_examples CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/conf/*.yaml)
install(FILES ${synward_examples} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT synward)
install(FILES conf/synward.yaml DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/synward COMPONENT synward)
install(FILES conf/prometheus/synward.rules.yml conf/grafana/synward.json
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT synward)
install(DIRECTORY conf/wireshark DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT synward)
install(FILES docs/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT synward)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT synward)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libsynward-dev RENAME copyright
  COMPONENT libsynward)

# The unit names the program where it is installed.
file(READ conf/synward.service unit)
string(REPLACE "/usr/sbin/synward" "${CMAKE_INSTALL_FULL_SBINDIR}/synward" unit "${unit}")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/synward.service CONTENT "${unit}" @ONLY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS conf/synward.service)
install(FILES ${CMAKE_BINARY_DIR}/synward.service DESTINATION lib/systemd/system
  COMPONENT synward)

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL synward libsynward)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_PACKAGE_NAME synward)
set(CPACK_PACKAGE_CONTACT "synward <synward@localhost>")
set(CPACK_PACKAGE_VENDOR synward)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/conf/debian/stage.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_SYNWARD_PACKAGE_NAME synward)
set(CPACK_DEBIAN_SYNWARD_PACKAGE_SECTION net)
set(CPACK_DEBIAN_SYNWARD_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_SYNWARD_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/conf/debian/postinst ${CMAKE_SOURCE_DIR}/conf/debian/prerm
  ${CMAKE_SOURCE_DIR}/conf/debian/postrm ${CMAKE_SOURCE_DIR}/conf/debian/conffiles)
set(CPACK_COMPONENT_SYNWARD_DESCRIPTION
"It answers TCP handshakes with SYN cookies, in user space and in BPF, keeps no
memory for half-open connections, and gives proven connections to a relay or to
the service itself.")

set(CPACK_DEBIAN_LIBSYNWARD_PACKAGE_NAME libsynward-dev)
set(CPACK_DEBIAN_LIBSYNWARD_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBSYNWARD_PACKAGE_DEPENDS libevent-dev)
set(CPACK_COMPONENT_LIBSYNWARD_DESCRIPTION
"The library and its header: a listener in the shape of libevent's
evconnlistener.  Proven connections come out of a callback as connected sockets.")
include(CPack)
