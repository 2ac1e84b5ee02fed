/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/metadata.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define DRIVE "/run/vgpu-guest-agent/config-drive"
#define LATEST "/openstack/latest"

/* The folders above `path`. */
static void put_folders(const struct sysroot *sysroot, const char *path)
{
	struct error err = ERROR_INIT;
	char dir[PATH_MAX];

	assert_true(text_copy(dir, sizeof(dir), path));
	*strrchr(dir, '/') = '\0';
	if (dir[0])
		assert_int_equal(root_mkdir(&sysroot->root, dir, 0755, &err), 0);
}

static void put(const struct sysroot *sysroot, const char *path, const char *text)
{
	put_folders(sysroot, path);
	sysroot_write(sysroot, path, text);
}

static void put_program(const struct sysroot *sysroot, const char *path, const char *text)
{
	char full[PATH_MAX];

	put(sysroot, path, text);
	assert_true(text_format(full, sizeof(full), "%s%s", sysroot->dir, path));
	assert_int_equal(chmod(full, 0755), 0);
}

static void put_link(const struct sysroot *sysroot, const char *target, const char *path)
{
	char full[PATH_MAX];

	put_folders(sysroot, path);
	assert_true(text_format(full, sizeof(full), "%s%s", sysroot->dir, path));
	assert_int_equal(symlink(target, full), 0);
}

static void put_tools(const struct sysroot *sysroot)
{
	put_program(sysroot, "/usr/sbin/blkid", "");
	put_program(sysroot, "/usr/bin/mount", "");
	put_program(sysroot, "/usr/bin/umount", "");
}

/* What the drive holds is there between mount and umount only. */
static void mount_drive(struct script *script, const struct run *run)
{
	(void)run;
	put(script->context, DRIVE LATEST "/vendor_data2.json", "two");
	put(script->context, DRIVE LATEST "/vendor_data.json", "one");
}

static void unmount_drive(struct script *script, const struct run *run)
{
	const struct sysroot *sysroot = script->context;
	struct error err = ERROR_INIT;

	(void)run;
	assert_int_equal(root_remove_tree(&sysroot->root, DRIVE "/openstack", &err), 0);
}

#define ANSWER                                                                        \
	"{\"result\":{\"found\":true,\"object\":{\"driver\":{\"version\":\"1.2\"}},"  \
	"\"token\":\"eyJ\",\"token_source\":\"metadata service, vendor_data2.json\"," \
	"\"token_check\":{\"problems\":[]},"                                          \
	"\"sources\":[\"metadata service, vendor_data2.json\"],\"service\":"          \
	"\"answered\",\"warnings\":[\"odd\"]}}"

/* A worker that keeps its request and what descriptors 4 and 5 held, then answers. */
static void put_worker(const struct sysroot *sysroot, const char *answer)
{
	cleanup_free char *text = text_print("#!/bin/sh\nread -r request <&3\n"
					     "printf %%s \"$request\" > %s/request\n"
					     "cat /dev/fd/4 > %s/four 2>/dev/null\n"
					     "cat /dev/fd/5 > %s/five 2>/dev/null\n"
					     "echo '%s' >&3\n",
					     sysroot->dir, sysroot->dir, sysroot->dir,
					     answer);

	assert_non_null(text);
	put_program(sysroot, "/worker", text);
}

static int read_metadata(const struct sysroot *sysroot, struct script *script, bool drive,
			 const char *service, struct metadata *ret_metadata,
			 struct error *err)
{
	struct settings_metadata settings = { .enabled = true,
					      .config_drive = drive,
					      .metadata_service = service != NULL,
					      .timeout = 7 };
	char worker[PATH_MAX];
	const struct channel channel = { .worker = worker,
					 .silence_s = 20,
					 .cancel_fd = -1 };

	(void)text_copy(settings.url, sizeof(settings.url), service ? service : "");
	assert_true(text_format(worker, sizeof(worker), "%s/worker", sysroot->dir));
	return metadata_read(&settings, &sysroot->root, &script->runner, &channel,
			     ret_metadata, err);
}

static void a_drive_is_mounted_for_the_moment(void **state)
{
	static const struct script_answer answers[] = {
		{ "/usr/bin/mount -o ro,nosuid,nodev,noexec /dev/vdb " DRIVE,
		  .act = mount_drive },
		{ "/usr/bin/umount --lazy " DRIVE, .act = unmount_drive },
		{ NULL },
	};
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	struct stat st;

	script_init(&script, answers, *state);
	put_tools(sysroot);
	put_link(sysroot, "../../vdb", "/dev/disk/by-label/config-2");
	put(sysroot, "/proc/self/mounts", "/dev/vda / ext4 rw 0 0\n");
	put_worker(sysroot, ANSWER);
	if (read_metadata(sysroot, &script, true, "http://169.254.169.254", &metadata,
			  &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(
		sysroot, "/request",
		"{\"job\":\"metadata\",\"service\":\"http://169.254.169.254\",\"timeout\":7,"
		"\"drive\":[{\"name\":\"vendor_data2.json\",\"input\":4},"
		"{\"name\":\"vendor_data.json\",\"input\":5}],\"known\":false,\"patient\":false,\"link_local\":true}");
	sysroot_assert_text(sysroot, "/four", "two");
	sysroot_assert_text(sysroot, "/five", "one");
	assert_false(root_stat(&sysroot->root, DRIVE, &st));
	assert_int_equal(script_count(&script, "umount"), 1);
	assert_string_equal(
		json_get_string(json_get(metadata.object, "driver"), "version"), "1.2");
	assert_string_equal(metadata.token, "eyJ");
	assert_int_equal(metadata.token_size, 3);
	assert_string_equal(metadata.token_source, "metadata service, vendor_data2.json");
	assert_int_equal(json_kind(json_get(metadata.token_check, "problems")),
			 JSON_KIND_ARRAY);
	assert_string_equal(metadata.detail, "metadata service, vendor_data2.json");
	assert_string_equal(json_as_string(json_at(metadata.warnings, 0)), "odd");
}

static void a_mounted_drive_is_read_where_it_is(void **state)
{
	static const struct script_answer answers[] = {
		{ "/usr/sbin/blkid -t LABEL=config-2 -o device", .output = "/dev/sr0\n" },
		{ NULL },
	};
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, *state);
	put_tools(sysroot);
	put(sysroot, "/proc/self/mounts",
	    "/dev/vda / ext4 rw 0 0\n/dev/sr0 /mnt/my\\040drive iso9660 ro 0 0\n");
	put(sysroot, "/mnt/my drive" LATEST "/vendor_data.json", "one");
	put_worker(sysroot, ANSWER);
	if (read_metadata(sysroot, &script, true, NULL, &metadata, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(
		sysroot, "/request",
		"{\"job\":\"metadata\",\"timeout\":7,\"drive\":[{\"name\":"
		"\"vendor_data.json\",\"input\":4}],\"known\":false,\"patient\":false,\"link_local\":false}");
	sysroot_assert_text(sysroot, "/four", "one");
	assert_int_equal(script_count(&script, "mount"), 0);
}

/* A run that was killed between mount and umount. */
static void a_mount_that_was_left_behind_is_removed(void **state)
{
	static const struct script_answer answers[] = {
		{ "/usr/bin/umount --lazy " DRIVE, .act = unmount_drive },
		{ NULL },
	};
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	struct stat st;

	script_init(&script, answers, *state);
	put_tools(sysroot);
	put_link(sysroot, "../../vdb", "/dev/disk/by-label/config-2");
	put(sysroot, "/proc/self/mounts", "/dev/vdb " DRIVE " vfat ro 0 0\n");
	mount_drive(&script, NULL);
	put_worker(sysroot, ANSWER);
	if (read_metadata(sysroot, &script, true, NULL, &metadata, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(sysroot, "/four", "two");
	assert_false(root_stat(&sysroot->root, DRIVE, &st));
	assert_int_equal(json_count(metadata.warnings), 1);
}

static void a_link_on_the_drive_does_not_leave_it(void **state)
{
	static const struct script_answer answers[] = {
		{ "/usr/sbin/blkid", .output = "/dev/sr0\n" },
		{ NULL },
	};
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, *state);
	put_tools(sysroot);
	put(sysroot, "/proc/self/mounts", "/dev/sr0 /mnt iso9660 ro 0 0\n");
	put(sysroot, "/etc/shadow", "secret");
	put_link(sysroot, "/etc/shadow", "/mnt" LATEST "/vendor_data2.json");
	put_link(sysroot, "../../../etc/shadow", "/mnt" LATEST "/vendor_data.json");
	if (read_metadata(sysroot, &script, true, NULL, &metadata, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(metadata.detail, "no config drive");
}

static void a_drive_that_cannot_be_mounted_is_a_warning(void **state)
{
	static const struct script_answer answers[] = {
		{ "/usr/bin/mount", .output = "mount: bad superblock\033[2J\n",
		  .status = 32 },
		{ NULL },
	};
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, *state);
	put_tools(sysroot);
	put_link(sysroot, "../../vdb", "/dev/disk/by-label/config-2");
	put_worker(sysroot, ANSWER);
	if (read_metadata(sysroot, &script, true, "http://s", &metadata, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(json_count(metadata.warnings), 2);
	assert_non_null(strstr(json_as_string(json_at(metadata.warnings, 0)),
			       "config drive /dev/vdb: "));
	assert_null(strchr(json_as_string(json_at(metadata.warnings, 0)), '\033'));
	assert_non_null(metadata.object);
}

static int interrupt(struct runner *runner, const struct root *root,
		     const struct run *run, struct run_result *ret_result,
		     struct error *err)
{
	(void)runner;
	(void)root;
	(void)run;
	(void)ret_result;
	return error_set_interrupted(err);
}

static void an_interrupt_is_no_warning(void **state)
{
	struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script = { .runner = { interrupt, -1 } };

	put_tools(sysroot);
	put_link(sysroot, "../../vdb", "/dev/disk/by-label/config-2");

	assert_int_equal(read_metadata(sysroot, &script, true, NULL, &metadata, &err),
			 -1);
	assert_true(err.interrupted);
	assert_null(metadata.warnings);
}

static void nothing_found_is_no_error(void **state)
{
	static const struct script_answer answers[] = {
		{ "/usr/sbin/blkid", .status = 2 },
		{ NULL },
	};
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, *state);
	put_tools(sysroot);
	put_worker(
		sysroot,
		"{\"result\":{\"found\":false,\"object\":{},\"token\":null,"
		"\"token_source\":null,\"token_check\":null,\"sources\":[],\"service\":\"absent\","
		"\"warnings\":[]}}");
	if (read_metadata(sysroot, &script, true, "http://s", &metadata, &err) < 0)
		fail_msg("%s", err.text);

	assert_null(metadata.object);
	assert_null(metadata.token);
	assert_int_equal(json_count(metadata.warnings), 0);
	assert_string_equal(metadata.detail, "nothing found; metadata service: absent");
}

static void a_worker_that_fails_is_an_error(void **state)
{
	struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, NULL, *state);
	put_worker(sysroot, "nonsense");

	assert_int_equal(
		read_metadata(sysroot, &script, false, "http://s", &metadata, &err), -1);
	assert_non_null(strstr(err.text, "reading the metadata"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_drive_is_mounted_for_the_moment),
		TEST(a_mounted_drive_is_read_where_it_is),
		TEST(a_mount_that_was_left_behind_is_removed),
		TEST(a_link_on_the_drive_does_not_leave_it),
		TEST(a_drive_that_cannot_be_mounted_is_a_warning),
		TEST(an_interrupt_is_no_warning),
		TEST(nothing_found_is_no_error),
		TEST(a_worker_that_fails_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
