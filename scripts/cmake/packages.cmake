# SPDX-License-Identifier: Apache-2.0
#
# The .deb and the .rpm: `cpack -G DEB` and `cpack -G RPM` in a build folder, or scripts/make-packages.

set(CPACK_PACKAGE_NAME vgpu-guest-agent)
set(CPACK_PACKAGE_VENDOR "vgpu-guest-agent")
set(CPACK_PACKAGE_CONTACT "vgpu-guest-agent maintainers <root@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "takes a guest with an NVIDIA vGPU from bare to licensed")
set(CPACK_PACKAGE_DESCRIPTION "Finds the GRID guest driver that fits the host in a Pulp file repository,
verifies it, builds its kernel modules, installs it, writes gridd.conf and the
client configuration token, and waits until the driver says Licensed: at boot,
with nobody at the keyboard.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)

# /etc is no part of the prefix.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
  GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(dist ${PROJECT_SOURCE_DIR}/agent/dist)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd (>= 249), kmod")
# What a compile needs is installed when it is needed; here for guests that cannot.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, xz-utils")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "gcc, make")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${dist}/deb/conffiles ${dist}/deb/postinst
  ${dist}/deb/prerm ${dist}/deb/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_LICENSE Apache-2.0)
set(CPACK_RPM_PACKAGE_GROUP System)
set(CPACK_RPM_PACKAGE_AUTOREQ ON)
set(CPACK_RPM_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_REQUIRES "systemd >= 249, kmod, /bin/sh")
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE ${dist}/rpm/post)
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE ${dist}/rpm/preun)
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE ${dist}/rpm/postun)
set(CPACK_RPM_SPEC_MORE_DEFINE "%define _build_id_links none")
set(CPACK_RPM_USER_FILELIST
  "%config(noreplace) /etc/vgpu-guest-agent/agent.conf"
  "%config /etc/kernel/postinst.d/vgpu-guest-agent"
  "%config /etc/kernel/header_postinst.d/vgpu-guest-agent"
  "%config /etc/kernel/postrm.d/vgpu-guest-agent")
# Folders of others that CPack would make ours.
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION
  /etc /etc/kernel /etc/kernel/postinst.d /etc/kernel/header_postinst.d /etc/kernel/postrm.d
  /usr/lib/kernel /usr/lib/kernel/install.d /usr/lib/systemd /usr/lib/systemd/system
  /usr/lib/systemd/system-preset /usr/lib/systemd/catalog /usr/lib/sysusers.d /usr/libexec
  /usr/share/man /usr/share/man/man1 /usr/share/man/man5 /usr/share/bash-completion
  /usr/share/bash-completion/completions /usr/share/zsh /usr/share/zsh/site-functions
  /usr/share/fish /usr/share/fish/vendor_completions.d /usr/share/doc)

include(CPack)
