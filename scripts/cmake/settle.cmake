# SPDX-License-Identifier: Apache-2.0
#
# CPack runs this over what it is about to pack (CPACK_PRE_BUILD_SCRIPTS): what distributions want to see packed, and one time and
# the usual rights for every file.

file(GLOB pages ${CPACK_TEMPORARY_DIRECTORY}/usr/share/man/man*/*.[1-8]
  ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/man/man*/*.[1-8]
  ${CPACK_TEMPORARY_DIRECTORY}/usr/share/doc/*/changelog ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/doc/*/changelog)
foreach(page ${pages})
  execute_process(COMMAND gzip -9 -n -f ${page} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
# Whoever checked the tree out with another umask packs the same.
execute_process(COMMAND chmod -R u+rwX,go=u,go-w ${CPACK_TEMPORARY_DIRECTORY} COMMAND_ERROR_IS_FATAL ANY)
# Outside of git nothing says which time: the packages work all the same.
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  execute_process(COMMAND find ${CPACK_TEMPORARY_DIRECTORY} -exec touch -h -d @$ENV{SOURCE_DATE_EPOCH} {} +
    COMMAND_ERROR_IS_FATAL ANY)
endif()
