# SPDX-License-Identifier: Apache-2.0
#
# What is for the operator of a cloud and the builder of images, beside each other as in the tree: component "tools".

set(tools ${CMAKE_INSTALL_DATADIR}/vgpu-guest-agent-tools)
foreach(script make-vendor-data prebuild-modules publish-driver sign-digest sign-repository)
  if(EXISTS ${PROJECT_SOURCE_DIR}/scripts/${script})
    install(PROGRAMS scripts/${script} DESTINATION ${tools}/scripts COMPONENT tools)
  endif()
endforeach()
foreach(folder cloud-init dib-element)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${folder})
    install(DIRECTORY ${folder} DESTINATION ${tools} COMPONENT tools USE_SOURCE_PERMISSIONS
      PATTERN test-elements EXCLUDE PATTERN __pycache__ EXCLUDE)
  endif()
endforeach()
# The script that cloud-init gets; executable because it begins like one.
if(EXISTS ${PROJECT_SOURCE_DIR}/cloud-init/setup.in)
  install(PROGRAMS cloud-init/setup.in DESTINATION ${tools}/cloud-init COMPONENT tools)
endif()
