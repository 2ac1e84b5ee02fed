# SPDX-License-Identifier: Apache-2.0
#
# The packages: `cpack -G DEB` and `cpack -G RPM` in a build folder, or scripts/make-packages. By CPack and not by a debian/ and a
# .spec: one list of files and relations makes both families' packages on any one machine, so that one test sees both, and the element
# builds them in the image without debhelper. Component "agent" is what a guest gets; "tools" (-D CPACK_COMPONENTS_ALL="agent;tools")
# is for those who make images and repositories.

set(VGPU_PACKAGE_CONTACT "vgpu-guest-agent maintainers <maintainers@vgpu-guest-agent.example.org>" CACHE STRING
  "Who answers for the packages")

set(CPACK_PACKAGE_NAME vgpu-guest-agent)
set(CPACK_PACKAGE_VERSION ${VGPU_VERSION})
set(CPACK_PACKAGE_VENDOR "vgpu-guest-agent")
set(CPACK_PACKAGE_CONTACT ${VGPU_PACKAGE_CONTACT})
set(CPACK_PACKAGE_HOMEPAGE_URL "https://vgpu-guest-agent.example.org/")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_COMPONENTS_ALL agent)

set(agent_summary "takes a guest with an NVIDIA vGPU from bare to licensed")
set(agent_description
"Finds the GRID guest driver that fits the host in a Pulp file repository,
verifies it, builds its kernel modules, installs it, writes gridd.conf and the
client configuration token, and waits until the driver says Licensed: at boot,
with nobody at the keyboard.")
set(tools_summary "makes images, vendor-data and modules for vgpu-guest-agent")
set(tools_description
"For the operator of a cloud and the builder of images: the element of
diskimage-builder (ELEMENTS_PATH=/usr/share/vgpu-guest-agent-tools/dib-element,
with DIB_NVIDIA_VGPU_AGENT_PACKAGE), and in
/usr/share/vgpu-guest-agent-tools/scripts what writes vendor-data for nova and
what builds kernel modules before a guest boots.")

# /etc is no part of the prefix.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
  GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# The same bytes whenever and wherever they are packed.
configure_file(${CMAKE_CURRENT_LIST_DIR}/cpack-project.cmake.in ${PROJECT_BINARY_DIR}/cpack-project.cmake @ONLY)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_BINARY_DIR}/cpack-project.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/settle.cmake)

set(dist ${PROJECT_SOURCE_DIR}/agent/dist)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_AGENT_PACKAGE_NAME vgpu-guest-agent)
set(CPACK_DEBIAN_AGENT_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_AGENT_DESCRIPTION "${agent_summary}\n${agent_description}")
set(CPACK_DEBIAN_AGENT_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_AGENT_PACKAGE_DEPENDS "systemd (>= 249), kmod")
# What a compile needs is installed when it is needed; here for guests that cannot.
set(CPACK_DEBIAN_AGENT_PACKAGE_RECOMMENDS "ca-certificates, xz-utils")
set(CPACK_DEBIAN_AGENT_PACKAGE_SUGGESTS "gcc, make")
set(CPACK_DEBIAN_AGENT_PACKAGE_CONTROL_EXTRA ${dist}/deb/conffiles ${dist}/deb/postinst
  ${dist}/deb/prerm ${dist}/deb/postrm)
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME vgpu-guest-agent-tools)
set(CPACK_DEBIAN_TOOLS_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "${tools_summary}\n${tools_description}")
set(CPACK_DEBIAN_TOOLS_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "python3 (>= 3.9)")
set(CPACK_DEBIAN_TOOLS_PACKAGE_SUGGESTS "python3-diskimage-builder, vgpu-guest-agent")

set(CPACK_RPM_COMPONENT_INSTALL ON)
set(CPACK_RPM_MAIN_COMPONENT agent)
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
# Whose libraries it names: ".el9" where rpm is the system's own, else ".debian12", which no system of the RHEL family takes.
execute_process(COMMAND rpm --eval "%{?dist}" OUTPUT_VARIABLE family OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if("${family}" STREQUAL "")
  execute_process(COMMAND sh -c ". /etc/os-release && printf %s \".$ID$VERSION_ID\"" OUTPUT_VARIABLE family)
endif()
set(CPACK_RPM_PACKAGE_RELEASE "1${family}")
set(CPACK_RPM_PACKAGE_LICENSE Apache-2.0)
set(CPACK_RPM_PACKAGE_GROUP System)
set(CPACK_RPM_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_AUTOREQ ON)
set(CPACK_RPM_AGENT_PACKAGE_REQUIRES "systemd >= 249, kmod, /bin/sh")
set(CPACK_RPM_AGENT_PACKAGE_SUMMARY ${agent_summary})
set(CPACK_RPM_AGENT_PACKAGE_DESCRIPTION "${agent_description}")
set(CPACK_RPM_AGENT_POST_INSTALL_SCRIPT_FILE ${dist}/rpm/post)
set(CPACK_RPM_AGENT_PRE_UNINSTALL_SCRIPT_FILE ${dist}/rpm/preun)
set(CPACK_RPM_AGENT_POST_UNINSTALL_SCRIPT_FILE ${dist}/rpm/postun)
set(CPACK_RPM_AGENT_USER_FILELIST
  "%config(noreplace) /etc/vgpu-guest-agent/agent.conf"
  "%doc /usr/share/doc/vgpu-guest-agent")
set(CPACK_RPM_TOOLS_PACKAGE_NAME vgpu-guest-agent-tools)
set(CPACK_RPM_TOOLS_PACKAGE_SUMMARY ${tools_summary})
set(CPACK_RPM_TOOLS_PACKAGE_DESCRIPTION "${tools_description}")
set(CPACK_RPM_TOOLS_PACKAGE_ARCHITECTURE noarch)
set(CPACK_RPM_TOOLS_PACKAGE_AUTOREQ OFF)
set(CPACK_RPM_TOOLS_PACKAGE_REQUIRES "python3 >= 3.9, /bin/sh, /bin/bash")
set(CPACK_RPM_SPEC_MORE_DEFINE "%define _build_id_links none
Packager: ${VGPU_PACKAGE_CONTACT}
%define _buildhost localhost
%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define source_date_epoch_from_changelog 0")
# Folders of others that CPack would make ours.
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION
  /etc /etc/kernel /etc/kernel/postinst.d /etc/kernel/header_postinst.d /etc/kernel/postrm.d
  /usr/lib/kernel /usr/lib/kernel/install.d /usr/lib/systemd /usr/lib/systemd/system
  /usr/lib/systemd/system-preset /usr/lib/systemd/catalog /usr/lib/sysusers.d /usr/libexec
  /usr/share/man /usr/share/man/man1 /usr/share/man/man5
  /usr/share/man/man7 /usr/share/bash-completion
  /usr/share/bash-completion/completions /usr/share/zsh /usr/share/zsh/site-functions
  /usr/share/fish /usr/share/fish/vendor_completions.d /usr/share/doc)

# The packages' own history: what changed stands in git and in the release's notes.
set(seconds "${VGPU_EPOCH}")
if(seconds STREQUAL "")
  set(seconds 0)
endif()
execute_process(COMMAND date --utc --date=@${seconds} "+%a, %d %b %Y %H:%M:%S +0000"
  OUTPUT_VARIABLE date_deb OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND date --utc --date=@${seconds} "+%a %b %d %Y"
  OUTPUT_VARIABLE date_rpm OUTPUT_STRIP_TRAILING_WHITESPACE)
foreach(name agent tools)
  set(package ${CPACK_DEBIAN_AGENT_PACKAGE_NAME})
  if(name STREQUAL "tools")
    set(package ${CPACK_DEBIAN_TOOLS_PACKAGE_NAME})
  endif()
  file(WRITE ${PROJECT_BINARY_DIR}/changelog-${name}/changelog
    "${package} (${VGPU_VERSION}) unstable; urgency=medium\n\n  * See the release's notes.\n\n -- ${VGPU_PACKAGE_CONTACT}  ${date_deb}\n")
  install(FILES ${PROJECT_BINARY_DIR}/changelog-${name}/changelog ${dist}/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${name})
endforeach()
file(WRITE ${PROJECT_BINARY_DIR}/changelog.rpm
  "* ${date_rpm} ${VGPU_PACKAGE_CONTACT} - ${VGPU_VERSION}-${CPACK_RPM_PACKAGE_RELEASE}\n- See the release's notes.\n")
set(CPACK_RPM_CHANGELOG_FILE ${PROJECT_BINARY_DIR}/changelog.rpm)

include(CPack)
