/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/manifest.h"

#include <string.h>

#include "support/cmocka.h"

#define SUM "b2225cbeb4e43c0009ef1d4eb718eaadaf4e7867715d3ddb993700ca64160cd6"
#define SUM_UPPER "B2225CBEB4E43C0009EF1D4EB718EAADAF4E7867715D3DDB993700CA64160CD6"

/* What the reader said, as one text: "name size;" or "!line why;". */
struct said {
	char text[4096];
	size_t count;
};

static void note(void *context, const struct manifest_entry *entry, size_t line,
		 const char *why)
{
	struct said *said = context;
	size_t used = strlen(said->text);

	said->count++;
	if (used > sizeof(said->text) - 600)
		return;
	if (why) {
		assert_null(entry);
		(void)snprintf(said->text + used, sizeof(said->text) - used, "!%zu %s;",
			       line, why);
		return;
	}
	(void)snprintf(said->text + used, sizeof(said->text) - used, "%s %llu;",
		       entry->name, (unsigned long long)entry->size);
	if (entry->sha256[0])
		assert_string_equal(entry->sha256, SUM);
}

static const struct {
	const char *name, *text, *expected;
} lines[] = {
	{ "nothing", "", "" },
	{ "one line", "a.run," SUM ",8388608\n", "a.run 8388608;" },
	{ "no final newline", "a.run," SUM ",1", "a.run 1;" },
	{ "CRLF and blanks", "  a.run , " SUM " , 7 \r\n\r\n", "a.run 7;" },
	{ "comments", "# head\n#a.run," SUM ",1\nb.run," SUM ",2\n", "b.run 2;" },
	{ "upper case digest", "a.run," SUM_UPPER ",1\n", "a.run 1;" },
	{ "commas and folders in the path", "x/a,b,c.run," SUM ",1\n", "x/a,b,c.run 1;" },
	{ "a size beyond 32 bits", "a.zip," SUM ",4294967297\n", "a.zip 4294967297;" },
	{ "one field", "hello\n", "!1 is not path,sha256,size;" },
	{ "two fields", "a.run," SUM "\n", "!1 is not path,sha256,size;" },
	{ "no path", "," SUM ",1\n", "!1 has an unsafe path;" },
	{ "absolute", "/a.run," SUM ",1\n", "!1 has an unsafe path;" },
	{ "parent", "x/../a.run," SUM ",1\n", "!1 has an unsafe path;" },
	{ "ends in parent", "x/..," SUM ",1\n", "!1 has an unsafe path;" },
	{ "dot", "./a.run," SUM ",1\n", "!1 has an unsafe path;" },
	{ "empty component", "x//a.run," SUM ",1\n", "!1 has an unsafe path;" },
	{ "backslash", "x\\a.run," SUM ",1\n", "!1 has an unsafe path;" },
	{ "escape sequence", "a\x1b[2J.run," SUM ",1\n", "!1 has an unsafe path;" },
	{ "dots that are no parent", "..a/b../a..run," SUM ",1\n", "..a/b../a..run 1;" },
	{ "short digest", "a.run,b222,1\n",
	  "!1 has no SHA-256 of 64 hexadecimal digits;" },
	{ "digest of other letters",
	  "a.run,g2225cbeb4e43c0009ef1d4eb718eaadaf4e7867715d3ddb993700ca64160cd6,1\n",
	  "!1 has no SHA-256 of 64 hexadecimal digits;" },
	{ "negative size", "a.run," SUM ",-1\n", "!1 has no decimal size;" },
	{ "size beyond 64 bits", "a.run," SUM ",18446744073709551616\n",
	  "!1 has no decimal size;" },
	{ "empty size", "a.run," SUM ",\n", "!1 has no decimal size;" },
	{ "the bad line is the one that is named",
	  "a.run," SUM ",1\n\n../b," SUM ",1\nc.run," SUM ",3\n",
	  "a.run 1;!3 has an unsafe path;c.run 3;" },
};

static void every_line_is_read_or_named(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct manifest_reader reader;
		struct said said = { 0 };

		print_message("case: %s\n", lines[i].name);
		manifest_begin(&reader, note, &said);
		assert_true(manifest_feed(&reader, lines[i].text, strlen(lines[i].text)));
		assert_true(manifest_end(&reader));
		assert_string_equal(said.text, lines[i].expected);
	}
}

static void the_pieces_do_not_matter(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct manifest_reader reader;
		struct said said = { 0 };

		print_message("case: %s\n", lines[i].name);
		manifest_begin(&reader, note, &said);
		for (const char *p = lines[i].text; *p; p++)
			assert_true(manifest_feed(&reader, p, 1));
		assert_true(manifest_end(&reader));
		assert_string_equal(said.text, lines[i].expected);
	}
}

static void a_nul_byte_makes_a_line_bad(void **state)
{
	static const char text[] = "a\0.run," SUM ",1\nb.run," SUM ",2\n";
	struct manifest_reader reader;
	struct said said = { 0 };

	(void)state;

	manifest_begin(&reader, note, &said);
	assert_true(manifest_feed(&reader, text, sizeof(text) - 1));
	assert_true(manifest_end(&reader));

	assert_string_equal(said.text, "!1 has an unsafe path;b.run 2;");
}

static void an_endless_line_costs_no_memory(void **state)
{
	static const char tail[] = "\na.run," SUM ",1\n";
	struct manifest_reader reader;
	struct said said = { 0 };
	char block[3000];

	(void)state;
	memset(block, 'x', sizeof(block));

	manifest_begin(&reader, note, &said);
	for (int i = 0; i < 100; i++)
		assert_true(manifest_feed(&reader, block, sizeof(block)));
	assert_true(manifest_feed(&reader, tail, sizeof(tail) - 1));
	assert_true(manifest_end(&reader));

	assert_string_equal(said.text, "!1 is too long;a.run 1;");
}

static void a_path_that_does_not_fit_is_named(void **state)
{
	char line[PACKAGE_NAME_MAX + 200];
	struct manifest_reader reader;
	struct said said = { 0 };

	(void)state;
	memset(line, 'x', PACKAGE_NAME_MAX);
	(void)snprintf(line + PACKAGE_NAME_MAX, sizeof(line) - PACKAGE_NAME_MAX,
		       "," SUM ",1\n");

	manifest_begin(&reader, note, &said);
	assert_true(manifest_feed(&reader, line, strlen(line)));
	assert_true(manifest_feed(&reader, line + 1, strlen(line + 1)));
	assert_true(manifest_end(&reader));

	assert_memory_equal(said.text, "!1 has a path that is too long;xxx", 34);
	assert_int_equal(said.count, 2);
}

static void a_hundred_thousand_entries_are_read_and_no_more(void **state)
{
	static const char line[] = "a.run," SUM ",1\n";
	struct manifest_reader reader;
	struct said said = { 0 };

	(void)state;

	manifest_begin(&reader, note, &said);
	for (int i = 0; i < MANIFEST_ENTRIES_MAX; i++)
		assert_true(manifest_feed(&reader, line, sizeof(line) - 1));
	assert_false(manifest_feed(&reader, line, sizeof(line) - 1));
	assert_false(manifest_end(&reader));

	assert_int_equal(said.count, MANIFEST_ENTRIES_MAX);
}

static const struct {
	const char *name, *html, *expected;
} pages[] = {
	{ "Pulp",
	  "\n<html>\n<h1>Index of /x/</h1>\n<hr><pre><a href=\"../\">../</a>\n"
	  "<a href=\"./a-grid.run\">a-grid.run</a>   22-Nov-2026 21:39  8.4 MB\n"
	  "<a href=\"./PULP_MANIFEST\">PULP_MANIFEST</a>\n",
	  "a-grid.run 0;PULP_MANIFEST 0;" },
	{ "nginx",
	  "<a href=\"../\">../</a>\r\n<a href=\"sub/\">sub/</a>\r\n"
	  "<a href=\"a%20b.zip\">a b.zip</a> 1.6G\r\n",
	  "a b.zip 0;" },
	{ "Apache",
	  "<th><a href=\"?C=N;O=D\">Name</a></th><td><a href=\"/\">Parent</a></td>"
	  "<td><a href=\"a&amp;b.deb\"><img src=\"i.gif\"></a> <a href=\"a&amp;b.deb\">a",
	  "a&b.deb 0;" },
	{ "single quotes and none", "<A HREF='a.run'>x</A><a class=x href=b.run>y</a>",
	  "a.run 0;b.run 0;" },
	{ "elsewhere",
	  "<a href=\"https://x/a.run\"><a href=\"//x/a.run\"><a href=\"/a.run\">"
	  "<a href=\"mailto:x\"><a href=\"#top\"><a href=\"x/a.run\"><a href=\"\">"
	  "<a href=\"./x/a.run\"><a href=\"./\"><a href=\"a.run?x=1\">",
	  "" },
	{ "a colon in a name", "<a href=\"./a:b.run\">", "a:b.run 0;" },
	{ "an encoded slash", "\n<a href=\"..%2f..%2fa.run\">",
	  "!2 has an unsafe path;" },
	{ "an encoded folder", "<a href=\"a%2Fb.run\">", "!1 has an unsafe path;" },
	{ "an encoded parent", "<a href=\"%2e%2e\">", "!1 has an unsafe path;" },
	{ "decoded once only", "<a href=\"a%252fb.run\">", "a%2fb.run 0;" },
	{ "an encoded NUL", "<a href=\"a%00.run\">", "!1 has a bad percent escape;" },
	{ "half an escape", "<a href=\"a.run%2\">", "!1 has a bad percent escape;" },
	{ "control bytes", "<a href=\"a%1b.run\">", "!1 has an unsafe path;" },
	{ "text that is no link", "href=\"a.run\" <abbr href=\"b.run\"> <a name=\"x\">",
	  "" },
	{ "a tag that never ends", "<a href=\"a.run", "a.run 0;" },
};

static void every_link_of_a_page_is_read_or_passed_over(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		struct said said = { 0 };

		print_message("case: %s\n", pages[i].name);
		manifest_listing(pages[i].html, strlen(pages[i].html), note, &said);
		assert_string_equal(said.text, pages[i].expected);
	}
}

static void a_page_of_endless_tags_ends(void **state)
{
	static char html[3 << 20];
	struct said said = { 0 };

	(void)state;
	for (size_t i = 0; i + 3 <= sizeof(html); i += 3)
		memcpy(html + i, "<a ", 3);

	manifest_listing(html, sizeof(html), note, &said);

	assert_int_equal(said.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_is_read_or_named),
		cmocka_unit_test(the_pieces_do_not_matter),
		cmocka_unit_test(a_nul_byte_makes_a_line_bad),
		cmocka_unit_test(an_endless_line_costs_no_memory),
		cmocka_unit_test(a_path_that_does_not_fit_is_named),
		cmocka_unit_test(a_hundred_thousand_entries_are_read_and_no_more),
		cmocka_unit_test(every_link_of_a_page_is_read_or_passed_over),
		cmocka_unit_test(a_page_of_endless_tags_ends),
	};

	return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
