# The dashboard's files become C arrays: configure_file() notices changes, and needs no other tool.
set(SYNWARD_PAGES "")
foreach(page "/|dashboard.html|text/html" "/dashboard.js|dashboard.js|text/javascript"
    "/dashboard.css|dashboard.css|text/css")
  string(REPLACE "|" ";" page ${page})
  list(GET page 0 path)
  list(GET page 1 file)
  list(GET page 2 type)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/${file})
  file(READ ${CMAKE_SOURCE_DIR}/src/ops/${file} hex HEX)
  string(REGEX REPLACE "(................................)" "\\1\n\t" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  string(MAKE_C_IDENTIFIER ${file} name)
  string(APPEND SYNWARD_ARRAYS "static const unsigned char ${name}[] = {\n\t${hex}\n};\n\n")
  string(APPEND SYNWARD_PAGES
    "\t{ \"${path}\", \"${type}; charset=utf-8\", ${name}, sizeof(${name}) },\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/dashboard.c @ONLY CONTENT [[
#include "ops/http_inside.h"

@SYNWARD_ARRAYS@const struct sw_page sw_dashboard_pages[] = {
@SYNWARD_PAGES@};
const size_t sw_ndashboard_pages = sizeof(sw_dashboard_pages) / sizeof(sw_dashboard_pages[0]);
]])
target_sources(synward_ops PRIVATE ${CMAKE_BINARY_DIR}/dashboard.c)
