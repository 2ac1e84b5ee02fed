/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/module_archive.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "support/cmocka.h"
#include "worker/deflate.h"
#include "worker/inflate.h"
#include "worker/tar.h"

static int hold(const char *text)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text), &err), 0);
	return fd;
}

/* Two modules, given in the wrong order. */
static int write_good(struct module_archive *archive)
{
	int output = memfd_create("archive", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	assert_true(output >= 0);
	*archive = (struct module_archive){ .count = 2 };
	archive->manifest = json_build("{s:s}", "version", "550.90.07");
	archive->files[0].fd = hold("the other module");
	archive->files[1].fd = hold("the module");
	(void)text_copy(archive->files[0].name, MODULE_ARCHIVE_NAME_SIZE, "nvidia.ko");
	(void)text_copy(archive->files[1].name, MODULE_ARCHIVE_NAME_SIZE,
			"nvidia-uvm.ko");
	assert_int_equal(module_archive_write(archive, output, &err), 0);
	(void)close(archive->files[0].fd);
	(void)close(archive->files[1].fd);
	return output;
}

static void what_was_written_comes_out(void **state)
{
	cleanup(module_archive_done) struct module_archive made = { .count = 0 },
							   read = { .count = 0 };
	cleanup_fd int first = hold(""), second = hold("");
	int outputs[] = { first, second };
	struct error err = ERROR_INIT;
	char text[32] = "";
	cleanup_fd int fd = write_good(&made);

	(void)state;
	assert_int_equal(module_archive_read(fd, outputs, 2, &read, &err), 0);

	assert_int_equal(read.count, 2);
	assert_string_equal(read.files[0].name, "nvidia-uvm.ko");
	assert_string_equal(read.files[1].name, "nvidia.ko");
	assert_string_equal(json_get_string(read.manifest, "version"), "550.90.07");
	assert_string_equal(read.sha256, made.sha256);
	assert_int_equal(read.size, made.size);
	assert_int_equal(pread(first, text, sizeof(text), 0), strlen("the module"));
	assert_string_equal(text, "the module");
}

static void the_same_modules_give_the_same_bytes(void **state)
{
	cleanup(module_archive_done) struct module_archive one = { .count = 0 },
							   other = { .count = 0 };
	cleanup_fd int first = write_good(&one), second = write_good(&other);

	(void)state;
	assert_true(first != second);
	assert_string_equal(one.sha256, other.sha256);
}

static void an_archive_cut_off_anywhere_is_refused(void **state)
{
	cleanup(module_archive_done) struct module_archive made = { .count = 0 };
	cleanup_fd int fd = write_good(&made);
	unsigned char bytes[4096];

	(void)state;
	assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), made.size);
	for (uint64_t size = 0; size < made.size; size++) {
		struct module_archive read = { .count = 0 };
		struct error err = ERROR_INIT;
		cleanup_fd int cut = memfd_create("cut", MFD_CLOEXEC);

		assert_int_equal(write(cut, bytes, size), size);
		assert_int_equal(module_archive_read(cut, NULL, 0, &read, &err), -1);
		assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

/* The same content can be packed in other words: then only the archive's hash tells. */
static void a_changed_byte_never_changes_a_module(void **state)
{
	cleanup(module_archive_done) struct module_archive made = { .count = 0 };
	cleanup_fd int fd = write_good(&made);
	unsigned char bytes[4096];
	size_t refused = 0;

	(void)state;
	assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), made.size);
	for (uint64_t at = 0; at < made.size; at++) {
		cleanup(module_archive_done) struct module_archive read = { .count = 0 };
		cleanup_fd int bad = memfd_create("bad", MFD_CLOEXEC);
		struct error err = ERROR_INIT;

		bytes[at] ^= 0x40;
		assert_int_equal(write(bad, bytes, made.size), made.size);
		bytes[at] ^= 0x40;
		if (module_archive_read(bad, NULL, 0, &read, &err) < 0) {
			assert_int_equal(err.code, ERROR_INTEGRITY);
			refused++;
			continue;
		}
		assert_string_not_equal(read.sha256, made.sha256);
		assert_string_equal(read.files[0].sha256, made.files[0].sha256);
		assert_string_equal(read.files[1].sha256, made.files[1].sha256);
	}
	assert_true(refused + 16 > made.size);
}

struct part {
	const char *name, *text;
};

/* An archive of any members. */
static int write_parts(const struct part *parts, size_t count)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);
	struct sink_file file = { .fd = -1 };
	struct deflate deflate = { .stream = NULL };
	struct error err = ERROR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(sink_file_begin(&file, fd, 0, &err), 0);
	assert_int_equal(deflate_begin(&deflate, &file.sink, &err), 0);
	for (size_t i = 0; i < count && parts[i].name; i++) {
		struct tar_member member = { .size = strlen(parts[i].text) };

		(void)text_copy(member.name, sizeof(member.name), parts[i].name);
		assert_int_equal(tar_write_head(&deflate.sink, &member, &err), 0);
		assert_int_equal(
			sink_write(&deflate.sink, parts[i].text, member.size, &err), 0);
		assert_int_equal(tar_write_fill(&deflate.sink, member.size, &err), 0);
	}
	assert_int_equal(tar_write_end(&deflate.sink, &err), 0);
	assert_int_equal(deflate_end(&deflate, &err), 0);
	assert_int_equal(sink_file_end(&file, &err), 0);
	deflate_done(&deflate);
	sink_file_done(&file);
	return fd;
}

#define OF_A "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
#define ENTRY(name) "{\"name\":\"" name "\",\"sha256\":\"" OF_A "\"}"
#define MODULE(name)                 \
	{                            \
		"modules/" name, "a" \
	}
#define LISTS(entries)                                         \
	{                                                      \
		"manifest.json", "{\"modules\":[" entries "]}" \
	}

static const struct {
	const char *what;
	bool good;
	struct part parts[12];
} cases[] = {
	{ "one module", true, { LISTS(ENTRY("nvidia.ko")), MODULE("nvidia.ko") } },
	{ "the manifest last", true, { MODULE("nvidia.ko"), LISTS(ENTRY("nvidia.ko")) } },
	{ "no manifest", false, { MODULE("nvidia.ko") } },
	{ "no module", false, { LISTS("") } },
	{ "no nvidia.ko",
	  false,
	  { LISTS(ENTRY("nvidia-uvm.ko")), MODULE("nvidia-uvm.ko") } },
	{ "a module that is not listed",
	  false,
	  { LISTS(ENTRY("nvidia.ko")), MODULE("nvidia.ko"), MODULE("nvidia-uvm.ko") } },
	{ "a listed module that is not there",
	  false,
	  { LISTS(ENTRY("nvidia.ko") "," ENTRY("nvidia-uvm.ko")), MODULE("nvidia.ko") } },
	{ "one listed twice, the other not",
	  false,
	  { LISTS(ENTRY("nvidia.ko") "," ENTRY("nvidia.ko")), MODULE("nvidia.ko"),
	    MODULE("nvidia-uvm.ko") } },
	{ "another hash",
	  false,
	  { LISTS(ENTRY("nvidia.ko")), { "modules/nvidia.ko", "b" } } },
	{ "two manifests",
	  false,
	  { LISTS(ENTRY("nvidia.ko")), LISTS(ENTRY("nvidia.ko")), MODULE("nvidia.ko") } },
	{ "a module twice",
	  false,
	  { LISTS(ENTRY("nvidia.ko")), MODULE("nvidia.ko"), MODULE("nvidia.ko") } },
	{ "another file",
	  false,
	  { LISTS(ENTRY("nvidia.ko")), MODULE("nvidia.ko"), { "README", "a" } } },
	{ "a folder below modules",
	  false,
	  { LISTS(ENTRY("nvidia.ko")), MODULE("nvidia.ko"), MODULE("nvidia/x.ko") } },
	{ "a module of another name",
	  false,
	  { LISTS(ENTRY("nvidia.ko") "," ENTRY("ext4.ko")), MODULE("nvidia.ko"),
	    MODULE("ext4.ko") } },
	{ "too many modules",
	  false,
	  { MODULE("nvidia.ko"), MODULE("nvidia-a.ko"), MODULE("nvidia-b.ko"),
	    MODULE("nvidia-c.ko"), MODULE("nvidia-d.ko"), MODULE("nvidia-e.ko"),
	    MODULE("nvidia-f.ko"), MODULE("nvidia-g.ko"), MODULE("nvidia-h.ko") } },
	{ "a manifest that is no JSON",
	  false,
	  { { "manifest.json", "{" }, MODULE("nvidia.ko") } },
	{ "an empty manifest", false, { { "manifest.json", "" }, MODULE("nvidia.ko") } },
};

static void its_members_are_exactly_what_the_manifest_says(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(module_archive_done) struct module_archive read = { .count = 0 };
		cleanup_fd int fd =
			write_parts(cases[i].parts, ARRAY_SIZE(cases[i].parts));
		struct error err = ERROR_INIT;
		int result = module_archive_read(fd, NULL, 0, &read, &err);

		if ((result == 0) != cases[i].good)
			fail_msg("%s: %s", cases[i].what, err.text);
		if (result < 0 && err.code != ERROR_INTEGRITY)
			fail_msg("%s: %s", cases[i].what, error_code_name(err.code));
	}
}

static void more_modules_than_outputs_are_refused(void **state)
{
	cleanup(module_archive_done) struct module_archive made = { .count = 0 };
	struct module_archive read = { .count = 0 };
	cleanup_fd int fd = write_good(&made), output = hold("");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(module_archive_read(fd, &output, 1, &read, &err), -1);
	assert_string_equal(err.text, "it has too many modules");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_comes_out),
		cmocka_unit_test(the_same_modules_give_the_same_bytes),
		cmocka_unit_test(an_archive_cut_off_anywhere_is_refused),
		cmocka_unit_test(a_changed_byte_never_changes_a_module),
		cmocka_unit_test(its_members_are_exactly_what_the_manifest_says),
		cmocka_unit_test(more_modules_than_outputs_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
