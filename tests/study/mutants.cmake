# The study tools over cores with one rule broken: tests/e2e/test_mutants.py shows that the tools
# change with the core, so they cannot have rules of their own.

# The commands as they are in synward.
file(GLOB study_commands CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/cookie*.c
  ${CMAKE_SOURCE_DIR}/src/cli/trace*.c ${CMAKE_SOURCE_DIR}/src/cli/explain*.c)
add_library(study_tools OBJECT ${CMAKE_SOURCE_DIR}/tests/study/tools.c
  ${CMAKE_SOURCE_DIR}/src/cli/opts.c ${study_commands})
target_link_libraries(study_tools PRIVATE synward_flags synward_study synward_listen)

# synward_mutant(NAME FILE FROM TO): the tools, with FROM, which must be there exactly once, replaced
# by TO in src/core/FILE.  The changed object stands in front of the library, so that the linker
# takes nothing from the original.
function(synward_mutant name file from to)
  set(changed ${CMAKE_CURRENT_BINARY_DIR}/mutant_${name}.c)
  add_custom_command(OUTPUT ${changed}
    COMMAND ${CMAKE_COMMAND} -DIN=${CMAKE_SOURCE_DIR}/src/core/${file} -DOUT=${changed}
      "-DFROM=${from}" "-DTO=${to}" -P ${CMAKE_SOURCE_DIR}/tests/study/mutate.cmake
    DEPENDS ${CMAKE_SOURCE_DIR}/src/core/${file} ${CMAKE_SOURCE_DIR}/tests/study/mutate.cmake
    VERBATIM)
  add_executable(mutant_${name} ${changed} $<TARGET_OBJECTS:study_tools>)
  target_link_libraries(mutant_${name} PRIVATE synward_flags synward_study synward_listen)
endfunction()

# Nothing broken: what the others are compared with.
synward_mutant(none cookie.c "#define VERSION" "#define VERSION")
# Another version number under the MAC: other cookies.
synward_mutant(version cookie.c "out[0] = VERSION;" "out[0] = VERSION + 1;")
# A cookie of the epoch before is refused.
synward_mutant(lifetime cookie.c "why = prove(kr, ack, epoch_plus(e, -1), &c);"
  "why = SW_WHY_COOKIE_FORGED;")
# SACK and ECN change places.
synward_mutant(layout cookie.c "sack = data >> WIDE_SACK & 1" "sack = data >> WIDE_ECN & 1")
# Another entry of the table of segment sizes.
synward_mutant(table cookie.c "{ 216, 536, 1240, 1380, 1420, 1452, 1460, 8960 }"
  "{ 216, 536, 1240, 1380, 1420, 1452, 1456, 8960 }")
# SYN with FIN is answered.
synward_mutant(flags decide.c "if (seg->flags & (SW_TCP_FIN | SW_TCP_RST))"
  "if (seg->flags & SW_TCP_RST)")
# A martian is answered.
synward_mutant(martian decide.c "return b[0] == 0 || b[0] >= 224 || (b[0] == 127 && !loopback);"
  "return b[0] == 0 || (b[0] == 127 && !loopback);")
# The port is at another place of the TCP header.
synward_mutant(wire wire.c "out->ack = sw_cur_u32(c);" "out->ack = sw_cur_u32(c) + 1;")
