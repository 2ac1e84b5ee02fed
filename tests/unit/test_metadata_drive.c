/* wrap: fstat64 detached_open */
/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/metadata_drive.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "support/cmocka.h"
#include "support/disk.h"

#define FILE2 DISK_MOUNTED "/openstack/latest/vendor_data2.json"
#define USB "pci0000:00/0000:00:14.0/usb3/3-1/3-1:1.0/host6/target6:0:0/6:0:0:0"

static void put_content(const struct sysroot *sysroot)
{
	struct error err = ERROR_INIT;

	assert_int_equal(
		root_mkdir(&sysroot->root, DISK_MOUNTED "/openstack/latest", 0755, &err),
		0);
	sysroot_write(sysroot, FILE2, "two");
}

/* Reads what is there: how many files, and the first warning ("" for none). */
static size_t read_drive(const struct sysroot *sysroot, bool removable,
			 char ret_warning[static 256])
{
	cleanup(metadata_drive_done) struct metadata_drive drive = METADATA_DRIVE_INIT;
	cleanup_json struct json *warnings = json_build("[]");
	struct error err = ERROR_INIT;

	ret_warning[0] = '\0';
	disk_mounted_as = NULL;
	if (metadata_drive_open(&sysroot->root, removable, warnings, &drive, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(json_count(warnings) <= 1);
	if (json_count(warnings) == 1)
		(void)snprintf(ret_warning, 256, "%s",
			       json_as_string(json_at(warnings, 0)));
	return drive.count;
}

static void a_drive_is_known_by_its_own_bytes(void **state)
{
	static const struct {
		struct disk disk;
		const char *file_system; /* NULL: it is none */
	} rows[] = {
		{ { .name = "vdb", .label = "config-2" }, "iso9660" },
		{ { .name = "vdb", .label = "CONFIG-2" }, "iso9660" },
		{ { .name = "vdb", .label = "Config-2", .kind = CONFIG_DRIVE_VFAT },
		  "vfat" },
		{ { .name = "vdb", .label = "CONFIG-2", .kind = CONFIG_DRIVE_VFAT },
		  "vfat" },
		{ { .name = "sr0",
		    .label = "config-2",
		    .bus = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0" },
		  "iso9660" },
		{ { .name = "vda", .label = "config-23" }, NULL },
		{ { .name = "vda", .label = "root" }, NULL },
		{ { .name = "vda" }, NULL },
		{ { .name = "loop3", .bus = "virtual" }, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char warning[256];
		size_t count;

		if (i > 0)
			assert_int_equal(disk_setup(state), 0);
		put_content(*state);
		disk_put(*state, &rows[i].disk);
		count = read_drive(*state, false, warning);
		if (count != (rows[i].file_system ? 1 : 0) || warning[0] ||
		    strcmp(disk_mounted_as ? disk_mounted_as : "",
			   rows[i].file_system ? rows[i].file_system : "") != 0)
			fail_msg("row %zu: %zu files, mounted as %s, \"%s\"", i, count,
				 disk_mounted_as, warning);
		if (i + 1 < ARRAY_SIZE(rows))
			assert_int_equal(sysroot_teardown(state), 0);
	}
}

static void what_is_no_drive_of_novas_is_passed_over_with_a_warning(void **state)
{
	static const struct {
		struct disk disk;
		const char *warning;
	} rows[] = {
		{ { .name = "vdb", .label = "config-2", .kind = CONFIG_DRIVE_EXT },
		  "config drive /dev/vdb: passed over: it is neither iso9660 nor vfat" },
		{ { .name = "vdb", .udev = "config-2" }, /* xfs, say */
		  "config drive /dev/vdb: passed over: it is neither iso9660 nor vfat" },
		{ { .name = "loop3",
		    .label = "config-2",
		    .udev = "CONFIG-2",
		    .bus = "virtual" },
		  "config drive /dev/loop3: passed over: it is a loop or another device "
		  "of software" },
		{ { .name = "dm-0",
		    .udev = "config-2",
		    .bus = "virtual",
		    .node = DISK_NODE_ABSENT },
		  "config drive /dev/dm-0: passed over: it is a loop or another device "
		  "of software" },
		{ { .name = "sda", .label = "config-2", .bus = USB },
		  "config drive /dev/sda: passed over: it is on a removable bus "
		  "(metadata.removable_drive takes such a drive, too)" },
		{ { .name = "mmcblk0",
		    .label = "config-2",
		    .bus = "platform/mmc/mmc_host/mmc0/mmc0:aaaa" },
		  "config drive /dev/mmcblk0: passed over: it is on a removable bus "
		  "(metadata.removable_drive takes such a drive, too)" },
		{ { .name = "vdb", .label = "config-2", .node = DISK_NODE_FOLDER },
		  "config drive /dev/vdb: it is no block device" },
		{ { .name = "vdb", .label = "config-2", .node = DISK_NODE_LINK },
		  "config drive /dev/vdb: it is no block device" },
		{ { .name = "vdb", .label = "config-2", .node = DISK_NODE_FILE },
		  "config drive /dev/vdb: it is no block device" },
		{ { .name = "vdb", .label = "config-2", .node = DISK_NODE_OTHER },
		  "config drive /dev/vdb: it is not the device 253:0 that the kernel "
		  "calls so" },
		{ { .name = "vdb", .udev = "config-2", .node = DISK_NODE_ABSENT },
		  "config drive /dev/vdb: opening /dev/vdb: No such file or directory" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char warning[256];
		size_t count;

		if (i > 0)
			assert_int_equal(disk_setup(state), 0);
		put_content(*state);
		disk_put(*state, &rows[i].disk);
		count = read_drive(*state, false, warning);
		if (count || disk_mounted_as || strcmp(warning, rows[i].warning) != 0)
			fail_msg("row %zu: %zu files, mounted as %s, \"%s\"", i, count,
				 disk_mounted_as, warning);
		if (i + 1 < ARRAY_SIZE(rows))
			assert_int_equal(sysroot_teardown(state), 0);
	}
}

static void roots_file_may_take_a_removable_drive(void **state)
{
	char warning[256];

	put_content(*state);
	disk_put(*state,
		 &(struct disk){ .name = "sda", .label = "config-2", .bus = USB });

	assert_int_equal(read_drive(*state, true, warning), 1);
	assert_string_equal(warning, "");
}

static void of_two_the_first_counts(void **state)
{
	char warning[256];

	put_content(*state);
	disk_put(*state, &(struct disk){ .name = "vda" });
	disk_put(*state, &(struct disk){ .name = "vdb", .label = "config-2" });
	disk_put(*state, &(struct disk){ .name = "vdc", .label = "config-2" });

	assert_int_equal(read_drive(*state, false, warning), 1);
	assert_int_equal(disk_mounted_minor, 1);
	assert_string_equal(warning,
			    "config drive /dev/vdc: passed over: it is a second one");
}

/* The mount table and the folders of others have no say. */
static void what_is_mounted_elsewhere_under_its_name_is_not_read(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char warning[256];
	struct stat st;

	put_content(sysroot);
	disk_put(
		sysroot,
		&(struct disk){ .name = "vdb", .label = "config-2", .udev = "config-2" });
	assert_int_equal(root_mkdir(&sysroot->root, "/proc/self", 0755, &err), 0);
	sysroot_write(sysroot, "/proc/self/mounts",
		      "/dev/vdb /mnt/mallory fuse.x rw,user_id=1000 0 0\n");
	assert_int_equal(
		root_mkdir(&sysroot->root, "/mnt/mallory/openstack/latest", 0755, &err),
		0);
	sysroot_write(sysroot, "/mnt/mallory/openstack/latest/vendor_data.json", "x");

	assert_int_equal(read_drive(sysroot, false, warning), 1);
	assert_int_equal(disk_mounted_minor, 0);
	assert_string_equal(warning, "");
	assert_false(root_stat(&sysroot->root, "/run/vgpu-guest-agent", &st));
}

static void a_drive_that_comes_after_the_boot_is_passed_over(void **state)
{
	static const struct {
		struct disk before, after;
	} rows[] = {
		{ { .name = "vda" }, { .name = "vdb", .label = "config-2" } },
		{ { .name = "vdc", .label = "config-2" },
		  { .name = "vdb", .label = "config-2" } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char warning[256];

		if (i > 0)
			assert_int_equal(disk_setup(state), 0);
		put_content(*state);
		disk_put(*state, &rows[i].before);
		assert_int_equal(read_drive(*state, false, warning),
				 rows[i].before.label ? 1 : 0);
		assert_int_equal(read_drive(*state, false, warning),
				 rows[i].before.label ? 1 : 0);
		disk_put(*state, &rows[i].after);
		assert_int_equal(read_drive(*state, false, warning),
				 rows[i].before.label ? 1 : 0);
		assert_non_null(strstr(warning, "passed over: it is not the one that "
						"was there at the boot"));
		if (i + 1 < ARRAY_SIZE(rows))
			assert_int_equal(sysroot_teardown(state), 0);
	}
}

static void a_link_on_the_drive_does_not_leave_it(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char full[256], warning[256];

	put_content(sysroot);
	disk_put(sysroot, &(struct disk){ .name = "vdb", .label = "config-2" });
	assert_int_equal(root_mkdir(&sysroot->root, "/etc", 0755, &err), 0);
	sysroot_write(sysroot, "/etc/shadow", "secret");
	assert_int_equal(root_unlink(&sysroot->root, FILE2, &err), 0);
	(void)snprintf(full, sizeof(full), "%s" FILE2, sysroot->dir);
	assert_int_equal(symlink("/etc/shadow", full), 0);

	assert_int_equal(read_drive(sysroot, false, warning), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, disk_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_drive_is_known_by_its_own_bytes),
		TEST(what_is_no_drive_of_novas_is_passed_over_with_a_warning),
		TEST(roots_file_may_take_a_removable_drive),
		TEST(of_two_the_first_counts),
		TEST(what_is_mounted_elsewhere_under_its_name_is_not_read),
		TEST(a_drive_that_comes_after_the_boot_is_passed_over),
		TEST(a_link_on_the_drive_does_not_leave_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
