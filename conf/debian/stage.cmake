# SPDX-License-Identifier: MIT
# Between installing and packing: what Debian wants otherwise than a prefix does.  The tree is built
# for any prefix and packed for /usr, so the unit and /etc come from the source.
file(GLOB stages ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/synward)
foreach(stage ${stages})
  if(EXISTS ${stage}/usr/etc)
    file(RENAME ${stage}/usr/etc ${stage}/etc)
  endif()
  file(COPY_FILE ${CMAKE_CURRENT_LIST_DIR}/../synward.service
    ${stage}/usr/lib/systemd/system/synward.service)
  file(GLOB_RECURSE pages ${stage}/usr/share/man/* ${stage}/usr/share/doc/synward/CHANGELOG.md)
  foreach(page ${pages})
    execute_process(COMMAND gzip -9nf ${page} COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
endforeach()
