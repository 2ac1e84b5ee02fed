# SPDX-License-Identifier: Apache-2.0
#
# VGPU_VERSION and VGPU_EPOCH, the time that stands for the build's: of git's last tag vX.Y.Z and of the commit, "+N.gHASH" behind it
# where there are commits since; of the file VERSION in a tarball of scripts/release; else 0.1.0 and nothing.

set(VGPU_VERSION 0.1.0)
set(VGPU_EPOCH "")
set(here ${CMAKE_CURRENT_LIST_DIR}/../..)
find_program(VGPU_GIT git)
mark_as_advanced(VGPU_GIT)

function(vgpu_ask_git ret)
  execute_process(COMMAND ${VGPU_GIT} ${ARGN} WORKING_DIRECTORY ${here} RESULT_VARIABLE status OUTPUT_VARIABLE said
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT status EQUAL 0)
    set(said "")
  endif()
  set(${ret} "${said}" PARENT_SCOPE)
endfunction()

if(EXISTS ${here}/VERSION)
  file(STRINGS ${here}/VERSION lines)
  list(GET lines 0 VGPU_VERSION)
  list(GET lines 1 VGPU_EPOCH)
elseif(VGPU_GIT AND EXISTS ${here}/.git) # not what this folder happens to lie in
  vgpu_ask_git(VGPU_EPOCH log -1 --format=%ct)
  vgpu_ask_git(described describe --tags --long --match "v[0-9]*")
  if(described MATCHES "^v([0-9.]+)-([0-9]+)-(g[0-9a-f]+)$")
    set(VGPU_VERSION ${CMAKE_MATCH_1})
    if(CMAKE_MATCH_2 GREATER 0)
      set(VGPU_VERSION ${CMAKE_MATCH_1}+${CMAKE_MATCH_2}.${CMAKE_MATCH_3})
    endif()
  endif()
endif()

# For scripts: cmake -P version.cmake
if(CMAKE_SCRIPT_MODE_FILE)
  message("${VGPU_VERSION} ${VGPU_EPOCH}")
endif()
