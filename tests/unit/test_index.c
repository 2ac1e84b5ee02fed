/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/index.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BUNDLE "NVIDIA-GRID-Linux-KVM-525.105.14-525.105.17-528.89.zip"
#define RUN "NVIDIA-Linux-x86_64-525.105.17-grid.run"

#define PLACE "'offset':70,'method':8,'compressed_size':300"
#define DRIVER "'kind':'run','version':'525.105.17','arch':'x86_64'"
#define CONTENT "'size':400,'sha256':'" SHA "'"
#define MEMBER "{'name':'Guest_Drivers/" RUN "'," DRIVER "," PLACE "," CONTENT "}"
#define FILE_OF(members)                                                      \
	"{'name':'" BUNDLE "','size':1000,'sha256':'" SHA "','host_version':" \
	"'525.105.14','members':[" members "]}"
#define LOOSE "{'name':'" RUN "'," DRIVER "," CONTENT "}"
#define MODULES "{'name':'nvidia-modules.tar.gz'," CONTENT ",'kernel':'6.1.0'}"

/* Single quotes stand for double ones. */
static int read_text(const char *text, struct index **ret_index, struct error *err)
{
	cleanup_free char *quoted = text_print("%s", text);
	cleanup_json struct json *json = NULL;

	assert_non_null(quoted);
	for (char *c = quoted; (c = strchr(c, '\''));)
		*c = '"';
	if (json_parse(quoted, strlen(quoted), &json, err) < 0)
		fail_msg("%s: %s", quoted, err->text);
	return index_from_json(json, ret_index, err);
}

static struct index *index_of(const char *files, const char *modules)
{
	cleanup_free char *text =
		text_print("{'schema':1,'serial':12,'created':'2026-11-22T21:00:00Z',"
			   "'files':[%s],'modules':[%s]}",
			   files, modules);
	struct index *index = NULL;
	struct error err = ERROR_INIT;

	assert_non_null(text);
	if (read_text(text, &index, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return index;
}

static void an_index_tells_what_its_files_hold(void **state)
{
	cleanup_index struct index *index = index_of(LOOSE "," FILE_OF(MEMBER), MODULES);
	const struct index_file *bundle = index_find(index, BUNDLE);
	const struct index_file *loose = index_find(index, RUN);
	const struct index_member *member;

	(void)state;
	assert_int_equal(index->serial, 12);
	assert_string_equal(index->created, "2026-11-22T21:00:00Z");
	assert_int_equal(index->warning_count, 0);
	assert_non_null(bundle);
	assert_int_equal(bundle->kind, PACKAGE_BUNDLE);
	assert_int_equal(bundle->size, 1000);
	assert_string_equal(bundle->sha256, SHA);
	assert_string_equal(bundle->host_version, "525.105.14");

	member = index_find_member(bundle, "Guest_Drivers/" RUN);
	assert_non_null(member);
	assert_int_equal(member->kind, PACKAGE_RUN);
	assert_string_equal(member->version, "525.105.17");
	assert_string_equal(member->arch, "x86_64");
	assert_int_equal(member->offset, 70);
	assert_int_equal(member->method, 8);
	assert_int_equal(member->compressed_size, 300);
	assert_int_equal(member->size, 400);
	assert_string_equal(member->sha256, SHA);

	assert_non_null(loose);
	assert_int_equal(loose->kind, PACKAGE_RUN);
	assert_string_equal(loose->version, "525.105.17");
	assert_string_equal(loose->arch, "x86_64");
	assert_int_equal(json_count(index->modules), 1);
	assert_string_equal(json_get_string(json_at(index->modules, 0), "kernel"),
			    "6.1.0");
}

static void an_index_tells_what_does_not_compile(void **state)
{
	static const struct {
		const char *build, *warning; /* "": it is taken */
	} rows[] = {
		{ "{'version':'550.54.15','kernel':'6.1.0-57','flavour':'open','ok':false,"
		  "'why':'nv-pci.c: \\u001berror'}",
		  "" },
		{ "{'version':'550.54.15','kernel':'6.1.0-57','flavour':'proprietary',"
		  "'ok':true,'arch':'x86_64','more':[]}",
		  "" },
		{ "7", "builds[0] has no version: skipped" },
		{ "{'version':'x','kernel':'6.1.0-57','flavour':'open','ok':false}",
		  "builds[0] has no version: skipped" },
		{ "{'version':'550.54.15','kernel':'../x','flavour':'open','ok':false}",
		  "builds[0] has no kernel: skipped" },
		{ "{'version':'550.54.15','kernel':'6.1.0-57','flavour':'x','ok':false}",
		  "builds[0] has no flavour: skipped" },
		{ "{'version':'550.54.15','kernel':'6.1.0-57','flavour':'open','ok':0}",
		  "builds[0] does not say whether it is ok: skipped" },
		{ "{'version':'550.54.15','kernel':'6.1.0-57','flavour':'open',"
		  "'ok':false,'arch':'X'}",
		  "builds[0] has an architecture that is none: skipped" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text = text_print(
			"{'schema':1,'serial':12,'builds':[%s]}", rows[i].build);
		cleanup_index struct index *index = NULL;
		struct error err = ERROR_INIT;
		bool taken = !rows[i].warning[0];

		assert_int_equal(read_text(text, &index, &err), 0);
		assert_int_equal(index->build_count, taken);
		assert_int_equal(index->warning_count, !taken);
		if (!taken)
			assert_string_equal(index->warnings[0], rows[i].warning);
		else if (!index->builds[0].ok)
			assert_string_equal(index->builds[0].why, "nv-pci.c: ?error");
	}
}

static void what_is_not_there_is_not_found(void **state)
{
	cleanup_index struct index *empty = index_of("", "");
	cleanup_index struct index *index = index_of(FILE_OF(""), "");

	(void)state;
	assert_null(index_find(NULL, RUN));
	assert_null(index_find(empty, RUN));
	assert_null(index_find(index, RUN));
	assert_null(index_find_member(index_find(index, BUNDLE), RUN));
}

static void the_member_that_is_wished_for_is_chosen_like_in_a_bundle(void **state)
{
	struct index_member members[] = {
		{ .name = "a.deb", .kind = PACKAGE_DEB, .arch = "x86_64" },
		{ .name = "b.run", .kind = PACKAGE_RUN, .arch = "aarch64" },
		{ .name = "c.run", .kind = PACKAGE_RUN, .arch = "x86_64" },
		{ .name = "d.run", .kind = PACKAGE_RUN, .arch = "x86_64" },
	};
	struct index_file file = { .member_count = 3, .members = members };
	struct member_wish wish = { .arch = "x86_64",
				    .kinds = { PACKAGE_RUN, PACKAGE_DEB } };

	(void)state;
	assert_ptr_equal(index_choose(&file, &wish), &members[2]);
	file.member_count = 4; /* two that fit */
	assert_null(index_choose(&file, &wish));
	file.member_count = 2;
	assert_ptr_equal(index_choose(&file, &wish), &members[0]);
	wish.kinds[1] = PACKAGE_NONE;
	assert_null(index_choose(&file, &wish));
}

static void a_printed_index_is_the_same(void **state)
{
	cleanup_index struct index *index = index_of(LOOSE "," FILE_OF(MEMBER), MODULES);
	cleanup_json struct json *json = index_json(index);
	cleanup_free char *text = json_print(json);
	cleanup_index struct index *again = NULL;
	cleanup_json struct json *json_again = NULL;
	cleanup_free char *text_again = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(index_from_json(json, &again, &err), 0);
	json_again = index_json(again);
	text_again = json_print(json_again);

	assert_string_equal(text, text_again);
	assert_non_null(strstr(text, "\"offset\":70"));
	assert_non_null(strstr(text, "\"kernel\":\"6.1.0\""));
}

static void keys_of_later_versions_are_passed_over(void **state)
{
	cleanup_index struct index *index = index_of(
		"{'name':'" RUN "'," DRIVER "," CONTENT ",'signed_by':{'x':[1]}}", "");

	(void)state;
	assert_int_equal(index->warning_count, 0);
	assert_non_null(index_find(index, RUN));
}

static void a_sha256_is_kept_in_lower_case(void **state)
{
	cleanup_index struct index *index = index_of(
		"{'name':'" RUN "'," DRIVER ",'size':1,'sha256':'ABCDEF6789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef'}",
		"");

	(void)state;
	assert_string_equal(index->files[0].sha256, "abcdef6789abcdef0123456789abcdef"
						    "0123456789abcdef0123456789abcdef");
}

#define NAMED(name) "{'name':'" name "'," DRIVER "," CONTENT "}"
#define SIZED(size) "{'name':'" RUN "'," DRIVER ",'size':" size ",'sha256':'" SHA "'}"

static void a_damaged_entry_is_skipped_and_named(void **state)
{
	static const struct {
		const char *file, *warning;
	} cases[] = {
		{ "7", "files[1] has no name: skipped" },
		{ "null", "files[1] has no name: skipped" },
		{ "[]", "files[1] has no name: skipped" },
		{ NAMED("../x.run"), "files[1] has an unsafe name: skipped" },
		{ NAMED("a/../x.run"), "files[1] has an unsafe name: skipped" },
		{ NAMED("/x.run"), "files[1] has an unsafe name: skipped" },
		{ NAMED(""), "files[1] has an unsafe name: skipped" },
		{ NAMED("x\\u001b.run"), "files[1] has an unsafe name: skipped" },
		{ NAMED("x\\\\y.run"), "files[1] has an unsafe name: skipped" },
		{ SIZED("-1"), "files[1] has no size: skipped" },
		{ SIZED("0"), "files[1] has no size: skipped" },
		{ SIZED("1.5"), "files[1] has no size: skipped" },
		{ SIZED("9007199254740993"), "files[1] has no size: skipped" },
		{ "{'name':'x.run'," DRIVER ",'size':1,'sha256':'" SHA "0'}",
		  "files[1] has no SHA-256 of 64 hexadecimal digits: skipped" },
		{ "{'name':'x.run'," DRIVER ",'size':1,'sha256':'g123456789abcdef"
		  "0123456789abcdef0123456789abcdef0123456789abcdef'}",
		  "files[1] has no SHA-256 of 64 hexadecimal digits: skipped" },
		{ "{'name':'x.run','kind':'exe','version':'1.2','arch':'x'," CONTENT "}",
		  "files[1] is of no kind that is known: skipped" },
		{ "{'name':'x.zip','kind':'bundle','version':'1.2','arch':'x'," CONTENT
		  "}",
		  "files[1] is of no kind that is known: skipped" },
		{ "{'name':'x.run','kind':'run','version':'../1','arch':'x'," CONTENT "}",
		  "files[1] has no version: skipped" },
		{ "{'name':'x.run','kind':'run','version':'1.2','arch':'a b'," CONTENT
		  "}",
		  "files[1] has no architecture: skipped" },
		{ "{'name':'x.zip'," CONTENT ",'host_version':'x','members':[]}",
		  "files[1] has a host version that is none: skipped" },
		{ "{'name':'x.zip'," CONTENT ",'members':{}}",
		  "files[1] has members that are no list: skipped" },
		{ "{'name':'x.zip','size':1000,'sha256':'" SHA "','members':[" MEMBER
		  "," MEMBER "]}",
		  "files[1] has two members of one name: skipped" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *files = text_print("%s,%s", LOOSE, cases[i].file);
		cleanup_index struct index *index = index_of(files, "");

		assert_int_equal(index->file_count, 1);
		assert_int_equal(index->warning_count, 1);
		assert_string_equal(index->warnings[0], cases[i].warning);
	}
}

#define PLACED(place) \
	"{'name':'m.run'," DRIVER "," place ",'size':400,'sha256':'" SHA "'}"

static void a_damaged_member_is_skipped_alone(void **state)
{
	static const struct {
		const char *member, *why;
	} cases[] = {
		{ "7", "has no name" },
		{ "{'name':'../m.run'," DRIVER "," PLACE "," CONTENT "}",
		  "has an unsafe name" },
		{ "{'name':'m.zip','kind':'bundle','version':'1.2','arch':'x'," PLACE
		  "," CONTENT "}",
		  "is of no kind that is known" },
		{ PLACED("'offset':-1,'method':8,'compressed_size':3"),
		  "does not say where it lies in the bundle" },
		{ PLACED("'offset':1,'method':8"),
		  "does not say where it lies in the bundle" },
		{ PLACED("'offset':1,'method':8,'compressed_size':0"),
		  "does not say where it lies in the bundle" },
		{ PLACED("'offset':1,'method':12,'compressed_size':3"),
		  "is compressed by another method than deflate" },
		/* 665 + 30 + 5 + 300 is the bundle's 1000, one more is not. */
		{ PLACED("'offset':666,'method':8,'compressed_size':300"),
		  "lies behind the end of the bundle" },
		{ PLACED("'offset':9007199254740992,'method':8,"
			 "'compressed_size':9007199254740992"),
		  "lies behind the end of the bundle" },
		{ PLACED("'offset':1,'method':0,'compressed_size':300"),
		  "has sizes that contradict each other" },
		{ "{'name':'m.run'," DRIVER ",'offset':1,'method':8,'compressed_size':1,"
		  "'size':9000,'sha256':'" SHA "'}",
		  "has sizes that contradict each other" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *file =
			text_print(FILE_OF("%s,%s"), MEMBER, cases[i].member);
		cleanup_free char *warning =
			text_print("files[0].members[1] %s: skipped", cases[i].why);
		cleanup_index struct index *index = index_of(file, "");

		assert_int_equal(index->file_count, 1);
		assert_int_equal(index->files[0].member_count, 1);
		assert_int_equal(index->warning_count, 1);
		assert_string_equal(index->warnings[0], warning);
	}
}

static void a_member_may_end_where_the_bundle_does(void **state)
{
	cleanup_index struct index *index = index_of(
		FILE_OF(PLACED("'offset':665,'method':8,'compressed_size':300")), "");

	(void)state;
	assert_int_equal(index->files[0].member_count, 1);
}

static void a_damaged_archive_of_modules_is_skipped(void **state)
{
	cleanup_index struct index *index = index_of(
		"", MODULES ",{'name':'../x.tar.gz'," CONTENT "},{'name':'y.tar.gz',"
			    "'size':1,'sha256':'abc'},{'name':'y.zip'," CONTENT "}");

	(void)state;
	assert_int_equal(json_count(index->modules), 1);
	assert_int_equal(index->warning_count, 3);
	assert_string_equal(index->warnings[0], "modules[1] has an unsafe name: skipped");
	assert_string_equal(index->warnings[2], "modules[3] is no .tar.gz: skipped");
}

/* Otherwise a document that can just be read is one that can just not be read again. */
static void of_an_archive_of_modules_only_what_is_known_is_kept(void **state)
{
	cleanup_index struct index *index =
		index_of("", "{'name':'m.tar.gz'," CONTENT ",'vermagic':'6.1.0 SMP',"
			     "'signed_by':null,'arch':['x86_64'],'later':[[[1]]]}");
	cleanup_free char *text = json_print(index->modules);

	(void)state;
	assert_string_equal(text, "[{\"name\":\"m.tar.gz\",\"vermagic\":\"6.1.0 SMP\","
				  "\"size\":400,\"sha256\":\"" SHA "\"}]");
}

static void more_warnings_than_anybody_reads_are_not_kept(void **state)
{
	cleanup_index struct index *index =
		index_of("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22", "");

	(void)state;
	assert_int_equal(index->warning_count, INDEX_WARNINGS_MAX);
}

#define WHOLE(rest) "{'schema':1,'serial':1" rest "}"

static void an_index_that_cannot_be_meant_is_refused(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "[]", "is no object" },
		{ "{}", "another schema" },
		{ "{'schema':2,'serial':1}", "another schema" },
		{ "{'schema':'1','serial':1}", "another schema" },
		{ "{'schema':1}", "no serial" },
		{ "{'schema':1,'serial':0}", "no serial" },
		{ "{'schema':1,'serial':-4}", "no serial" },
		{ "{'schema':1,'serial':9007199254740993}", "no serial" },
		{ WHOLE(",'files':{}"), "files is no list" },
		{ WHOLE(",'modules':7"), "modules is no list" },
		{ WHOLE(",'files':[" LOOSE "," LOOSE "]"), "twice" },
		{ WHOLE(",'modules':[" MODULES "," MODULES "]"), "twice" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct index *index = NULL;
		struct error err = ERROR_INIT;

		assert_int_equal(read_text(cases[i].text, &index, &err), -1);
		assert_null(index);
		assert_int_equal(err.code, ERROR_INTEGRITY);
		if (!strstr(err.text, cases[i].error))
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

static void an_index_without_lists_is_an_empty_one(void **state)
{
	struct index *index = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(read_text(WHOLE(""), &index, &err), 0);
	assert_int_equal(index->file_count, 0);
	assert_int_equal(json_count(index->modules), 0);
	index_free(index);
}

static void more_entries_than_the_limit_are_refused(void **state)
{
	cleanup_free char *text = malloc(64 + 2 * (INDEX_FILES_MAX + 1));
	struct index *index = NULL;
	struct error err = ERROR_INIT;
	char *at = text;

	(void)state;
	assert_non_null(text);
	at = stpcpy(at, "{'schema':1,'serial':1,'files':[0");
	for (size_t i = 0; i < INDEX_FILES_MAX; i++)
		at = stpcpy(at, ",0");
	(void)stpcpy(at, "]}");

	assert_int_equal(read_text(text, &index, &err), -1);
	assert_int_equal(err.code, ERROR_INTEGRITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_tells_what_its_files_hold),
		cmocka_unit_test(an_index_tells_what_does_not_compile),
		cmocka_unit_test(what_is_not_there_is_not_found),
		cmocka_unit_test(
			the_member_that_is_wished_for_is_chosen_like_in_a_bundle),
		cmocka_unit_test(a_printed_index_is_the_same),
		cmocka_unit_test(keys_of_later_versions_are_passed_over),
		cmocka_unit_test(a_sha256_is_kept_in_lower_case),
		cmocka_unit_test(a_damaged_entry_is_skipped_and_named),
		cmocka_unit_test(a_damaged_member_is_skipped_alone),
		cmocka_unit_test(a_member_may_end_where_the_bundle_does),
		cmocka_unit_test(a_damaged_archive_of_modules_is_skipped),
		cmocka_unit_test(of_an_archive_of_modules_only_what_is_known_is_kept),
		cmocka_unit_test(more_warnings_than_anybody_reads_are_not_kept),
		cmocka_unit_test(an_index_that_cannot_be_meant_is_refused),
		cmocka_unit_test(an_index_without_lists_is_an_empty_one),
		cmocka_unit_test(more_entries_than_the_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
