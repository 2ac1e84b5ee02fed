/* wrap: fstat64 detached_open */
/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/metadata.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/disk.h"
#include "support/sysroot.h"

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

#define ANSWER                                                                                                      \
	"{\"result\":{\"found\":true,\"object\":{\"driver\":{\"version\":\"1.2\"}},"                                \
	"\"token\":\"eyJ\",\"token_source\":\"metadata service, vendor_data2.json\","                               \
	"\"silent\":false,\"service_object\":null,\"service_token_sha256\":null,\"token_check\":{\"problems\":[]}," \
	"\"sources\":[\"metadata service, vendor_data2.json\"],\"service\":"                                        \
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

static int read_metadata(const struct sysroot *sysroot, bool drive, const char *service,
			 struct metadata *ret_metadata, struct error *err)
{
	struct settings_metadata settings = { .enabled = true,
					      .config_drive = drive,
					      .metadata_service = service != NULL,
					      .keys = "*",
					      .timeout = 7 };
	char worker[PATH_MAX];
	const struct channel channel = { .worker = worker,
					 .silence_s = 20,
					 .cancel_fd = -1 };

	(void)text_copy(settings.url, sizeof(settings.url), service ? service : "");
	assert_true(text_format(worker, sizeof(worker), "%s/worker", sysroot->dir));
	return metadata_read(&settings, &sysroot->root, &channel, ret_metadata, err);
}

/* A disk of the machine with this label, and what is on it. */
static void put_drive(const struct sysroot *sysroot)
{
	disk_put(sysroot, &(struct disk){ .name = "vdb", .label = "config-2" });
	put(sysroot, DISK_MOUNTED LATEST "/vendor_data2.json", "two");
	put(sysroot, DISK_MOUNTED LATEST "/vendor_data.json", "one");
}

static void the_worker_gets_the_files_of_the_drive(void **state)
{
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	put_drive(sysroot);
	put_worker(sysroot, ANSWER);
	if (read_metadata(sysroot, true, "http://169.254.169.254", &metadata, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(
		sysroot, "/request",
		"{\"job\":\"metadata\",\"service\":\"http://169.254.169.254\",\"timeout\":7,"
		"\"drive\":[{\"name\":\"vendor_data2.json\",\"input\":4},"
		"{\"name\":\"vendor_data.json\",\"input\":5}],\"known\":false,\"patient\":false,\"link_local\":true}");
	sysroot_assert_text(sysroot, "/four", "two");
	sysroot_assert_text(sysroot, "/five", "one");
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

static void a_drive_that_cannot_be_read_is_a_warning(void **state)
{
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	put_drive(sysroot);
	disk_mount_errnum = EINVAL;
	put_worker(sysroot, ANSWER);
	if (read_metadata(sysroot, true, "http://s", &metadata, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(json_count(metadata.warnings), 2);
	assert_string_equal(json_as_string(json_at(metadata.warnings, 0)),
			    "config drive /dev/vdb: mounting it as iso9660: Invalid "
			    "argument");
	assert_non_null(metadata.object);
}

static void nothing_found_is_no_error(void **state)
{
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	put_worker(
		sysroot,
		"{\"result\":{\"found\":false,\"object\":{},\"token\":null,"
		"\"token_source\":null,\"silent\":false,\"service_object\":null,\"service_token_sha256\":null,\"token_check\":null,\"sources\":[],\"service\":\"absent\","
		"\"warnings\":[]}}");
	if (read_metadata(sysroot, true, "http://s", &metadata, &err) < 0)
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

	put_worker(sysroot, "nonsense");

	assert_int_equal(read_metadata(sysroot, false, "http://s", &metadata, &err), -1);
	assert_non_null(strstr(err.text, "reading the metadata"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, disk_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_worker_gets_the_files_of_the_drive),
		TEST(a_drive_that_cannot_be_read_is_a_warning),
		TEST(nothing_found_is_no_error),
		TEST(a_worker_that_fails_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
