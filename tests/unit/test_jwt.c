/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/token/jwt.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "support/cmocka.h"

#define NOW INT64_C(1800000000)

/* A throw-away key, its public half as PEM inside a JSON string, and a token of it. */
static EVP_PKEY *key;
static char pem[2048];
static char good[8192];

static size_t encode(const void *data, size_t size, char *ret_text)
{
	int n = EVP_EncodeBlock((unsigned char *)ret_text, data, (int)size);

	while (n > 0 && ret_text[n - 1] == '=')
		n--;
	ret_text[n] = '\0';
	for (char *p = ret_text; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	return (size_t)n;
}

static void sign(const char *header, const char *payload, char ret_token[static 8192])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[512];
	size_t used, size = sizeof(signature);

	used = encode(header, strlen(header), ret_token);
	ret_token[used++] = '.';
	used += encode(payload, strlen(payload), ret_token + used);
	assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(context, signature, &size,
					(unsigned char *)ret_token, used),
			 1);
	ret_token[used++] = '.';
	(void)encode(signature, size, ret_token + used);
	EVP_MD_CTX_free(context);
}

static void make_pem(void)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	size_t used = 0;
	long size;

	assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
	size = BIO_get_mem_data(bio, &text);
	for (long i = 0; i < size; i++) {
		if (text[i] == '\n')
			pem[used++] = '\\';
		pem[used++] = text[i] == '\n' ? 'n' : text[i];
	}
	pem[used] = '\0';
	BIO_free(bio);
}

#define HEADER "{\"alg\":\"RS256\",\"typ\":\"JWT\"}"
#define NODES                                                                           \
	"\"service_instance_configuration\":{\"svc_port_set_list\":[{\"idx\":7,"        \
	"\"svc_port_map\":[{\"service\":\"auth\",\"port\":443},{\"service\":\"lease\"," \
	"\"port\":443},{\"service\":\"quick_release\",\"port\":80}]}],"                 \
	"\"node_url_list\":[{\"idx\":0,\"url\":\"dls1.example.org\","                   \
	"\"svc_port_set_idx\":7},{\"idx\":1,\"url\":\"192.0.2.10\","                    \
	"\"svc_port_set_idx\":8}]}"

static void sign_claims(const char *times, const char *public_key,
			char ret_token[static 8192])
{
	char payload[4096];

	(void)snprintf(payload, sizeof(payload),
		       "{%s," NODES ",\"service_instance_public_key_configuration\":"
		       "{\"service_instance_public_key_pem\":\"%s\"}}",
		       times, public_key);
	sign(HEADER, payload, ret_token);
}

#define TIMES "\"iat\":1735732800,\"nbf\":1735732800,\"exp\":2114424000"

static int setup(void **state)
{
	(void)state;
	key = EVP_RSA_gen(2048);
	assert_non_null(key);
	make_pem();
	sign_claims(TIMES, pem, good);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	return 0;
}

static struct json *check_bytes(const char *text, size_t size)
{
	struct error err = ERROR_INIT;
	struct json *check = NULL;

	assert_int_equal(jwt_check((struct span){ text, size }, NOW, &check, &err), 0);
	return check;
}

static struct json *check(const char *text)
{
	return check_bytes(text, strlen(text));
}

/* "code severity;" of every problem. */
static void assert_problems(const struct json *check, const char *expected)
{
	const struct json *problems = json_get(check, "problems");
	bool error = strstr(expected, "error") != NULL;
	char actual[256] = "";

	for (size_t i = 0; i < json_count(problems); i++) {
		size_t used = strlen(actual);

		(void)snprintf(actual + used, sizeof(actual) - used, "%s %s;",
			       json_get_string(json_at(problems, i), "code"),
			       json_get_string(json_at(problems, i), "severity"));
	}
	assert_string_equal(actual, expected);
	assert_true(json_get_bool(check, "valid", error) != error);
}

static const char *message(const struct json *check, size_t index)
{
	return json_get_string(json_at(json_get(check, "problems"), index), "message");
}

static void a_good_token_is_read_whole(void **state)
{
	cleanup_json struct json *result = check(good);
	cleanup_free char *servers = json_print(json_get(result, "servers"));

	(void)state;

	assert_problems(result, "");
	assert_int_equal(json_get_int(result, "schema", 0), 1);
	assert_string_equal(json_get_string(result, "signature"), "ok");
	assert_string_equal(json_get_string(result, "issued"), "2025-01-01T12:00:00Z");
	assert_string_equal(json_get_string(result, "not_before"),
			    "2025-01-01T12:00:00Z");
	assert_string_equal(json_get_string(result, "expires"), "2037-01-01T12:00:00Z");
	assert_int_equal(json_get_int(result, "size", 0), strlen(good));
	assert_string_equal(servers, "[{\"host\":\"dls1.example.org\",\"ports\":[443,80]}"
				     ",{\"host\":\"192.0.2.10\",\"ports\":[]}]");
}

static void what_is_unknown_is_null_and_no_problem(void **state)
{
	cleanup_json struct json *result = NULL;
	char token[8192];

	(void)state;
	sign(HEADER, "{\"exp\":\"soon\",\"iat\":1e300,\"nbf\":-5}", token);

	result = check(token);

	assert_problems(result, "");
	assert_string_equal(json_get_string(result, "signature"), "absent");
	assert_null(json_get_string(result, "expires"));
	assert_null(json_get_string(result, "issued"));
	assert_null(json_get_string(result, "not_before"));
	assert_int_equal(json_count(json_get(result, "servers")), 0);
}

static void times_are_judged_by_the_clock(void **state)
{
	static const struct {
		const char *times, *problems;
	} cases[] = {
		{ "\"exp\":1799999999", "expired warning;" },
		{ "\"exp\":1800000000", "" },
		{ "\"exp\":1799999998.5", "expired warning;" },
		{ "\"nbf\":1800000001", "not_yet_valid warning;" },
		{ "\"nbf\":1800000000", "" },
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *result = NULL;
		char token[8192];

		print_message("case: %s\n", cases[i].times);
		sign_claims(cases[i].times, pem, token);
		result = check(token);
		assert_problems(result, cases[i].problems);
		assert_string_equal(json_get_string(result, "signature"), "ok");
	}
}

static void another_payload_under_the_signature_is_noticed(void **state)
{
	cleanup_json struct json *result = NULL;
	const char *tail = strrchr(good, '.');
	char token[8192];

	(void)state;
	sign_claims("\"exp\":2114424001", pem, token);
	strcpy(strrchr(token, '.'), tail);

	result = check(token);

	assert_problems(result, "bad_signature warning;");
	assert_string_equal(json_get_string(result, "signature"), "bad");
}

static void keys_that_are_none_say_nothing(void **state)
{
	static const char *const keys[] = {
		"",
		"hello",
		"-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----\\n",
		/* Ed25519 */
		"-----BEGIN PUBLIC KEY-----\\n"
		"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n"
		"-----END PUBLIC KEY-----\\n",
		/* asks for a passphrase */
		"-----BEGIN PUBLIC KEY-----\\nProc-Type: 4,ENCRYPTED\\n"
		"DEK-Info: AES-128-CBC,00000000000000000000000000000000\\n\\n"
		"AAAAAAAAAAAAAAAAAAAAAA==\\n-----END PUBLIC KEY-----\\n",
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		cleanup_json struct json *result = NULL;
		char token[8192];

		print_message("case: %s\n", keys[i]);
		sign_claims(TIMES, keys[i], token);
		result = check(token);
		assert_problems(result, "");
		assert_string_equal(json_get_string(result, "signature"), "absent");
	}
}

static void paste(char *to, const char *before, const char *text, const char *after)
{
	(void)snprintf(to, 20000, "%s%s%s", before, text, after);
}

static void damage_at_the_ends_is_a_warning(void **state)
{
	static const struct {
		const char *before, *after, *problems;
	} cases[] = {
		{ "", "\n", "whitespace warning;" },
		{ "", "\r\n", "whitespace warning;" },
		{ " \n", "", "whitespace warning;" },
		{ "\xef\xbb\xbf", "", "bom warning;" },
		{ "\xef\xbb\xbf", "\r\n", "bom warning;whitespace warning;" },
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *result = NULL;
		char text[20000];

		paste(text, cases[i].before, good, cases[i].after);
		result = check(text);
		assert_problems(result, cases[i].problems);
		assert_string_equal(json_get_string(result, "signature"), "ok");
	}
}

/* Puts `piece` into the good token in front of byte `at`. */
static struct json *check_with(const char *piece, size_t at)
{
	char text[20000];

	(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)at, good, piece, good + at);
	return check(text);
}

static void a_line_break_inside_is_named_by_its_place(void **state)
{
	cleanup_json struct json *result = check_with("\n", 76);

	(void)state;

	assert_problems(result, "inner_whitespace error;");
	assert_string_equal(message(result, 0),
			    "a blank or line break stands inside the token at byte 77 "
			    "(line 1)");
	assert_string_equal(json_get_string(result, "signature"), "ok");
	assert_string_equal(json_get_string(result, "expires"), "2037-01-01T12:00:00Z");
}

static void what_cannot_be_seen_is_named_by_its_place(void **state)
{
	static const struct {
		const char *piece, *text;
	} cases[] = {
		{ "\xe2\x80\x8b", "an invisible character, U+200B, stands at byte 101 "
				  "(line 1)" },
		{ "\xc2\xa0", "an invisible character, U+00A0, stands at byte 101 "
			      "(line 1)" },
		{ "\xef\xbb\xbf", "an invisible character, U+FEFF, stands at byte 101 "
				  "(line 1)" },
		{ "\x1b", "an invisible character, U+001B, stands at byte 101 (line 1)" },
		{ "\n\x01", "an invisible character, U+0001, stands at byte 102 "
			    "(line 2)" },
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *result = check_with(cases[i].piece, 100);

		assert_problems(result, "invisible error;");
		assert_string_equal(message(result, 0), cases[i].text);
	}
}

static void a_nul_byte_is_named(void **state)
{
	cleanup_json struct json *result = NULL;
	char text[8192];

	(void)state;
	strcpy(text, good);
	text[50] = '\0';

	result = check_bytes(text, strlen(good));

	assert_problems(result, "invisible error;");
	assert_string_equal(message(result, 0),
			    "an invisible character, U+0000, stands at byte 51 (line 1)");
}

static void characters_of_no_token_are_named(void **state)
{
	static const char *const pieces[] = {
		"=", "+", "\"", "\xc3\xa9", "\xff", "\x80"
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		cleanup_json struct json *result = check_with(pieces[i], 100);

		assert_problems(result, "not_a_token error;");
		assert_string_equal(message(result, 0),
				    "a character that no token has stands at byte 101 "
				    "(line 1)");
	}
}

static void two_tokens_are_glued(void **state)
{
	static const char *const between[] = { "", "\n", "\r\n\r\n", " " };
	char other[8192], text[20000], expected[80];

	(void)state;
	sign("{\"typ\":\"JWT\",\"alg\":\"RS256\"}", "{}", other);

	for (size_t i = 0; i < ARRAY_SIZE(between); i++) {
		cleanup_json struct json *same = NULL, *different = NULL;

		paste(text, good, between[i], good);
		same = check(text);
		paste(text, good, between[i], other);
		different = check(text);

		(void)snprintf(expected, sizeof(expected),
			       "a second token begins at byte %zu (line ",
			       strlen(good) + strlen(between[i]) + 1);
		assert_problems(same, "glued error;");
		assert_problems(different, "glued error;");
		assert_non_null(strstr(message(same, 0), expected));
		assert_non_null(strstr(message(different, 0), expected));
	}
}

static void half_a_token_before_a_whole_one_is_glued(void **state)
{
	cleanup_json struct json *result = NULL;
	char text[20000];

	(void)state;
	(void)snprintf(text, sizeof(text), "%.*s%s", 60, good, good);

	result = check(text);

	assert_problems(result, "glued error;");
}

/* One signature in a thousand holds these three letters. */
static void a_signature_that_looks_like_a_header_is_not_glued(void **state)
{
	cleanup_json struct json *result = check("eyJhIjoxfQ.e30.AAeyJAAA");

	(void)state;

	assert_problems(result, "");
}

/* However much of it is missing, it is damage, and the message says where it ends. */
static void a_token_cut_anywhere_is_none(void **state)
{
	size_t size = strlen(good);

	(void)state;

	for (size_t i = 1; i < size - 1; i += i < 60 || i > size - 10 ? 1 : 13) {
		cleanup_json struct json *result = check_bytes(good, i);

		assert_problems(result, "not_a_token error;");
		assert_non_null(strpbrk(message(result, 0), "0123456789"));
	}
}

static const struct {
	const char *name, *text, *problems, *message;
} wholes[] = {
	{ "nothing", "", "empty error;", "there is not one byte" },
	{ "blanks", " \r\n", "empty error;", "there is nothing but blanks" },
	{ "a mark only", "\xef\xbb\xbf", "bom warning;empty error;",
	  "the file begins with a byte order mark" },
	{ "UTF-16",
	  "\xff\xfe"
	  "e",
	  "not_a_token error;", "the file is UTF-16 text: save it as plain text" },
	{ "base64 of one", "ZXlKaGJHY2lPaUp1YjI1bEluMC5leUpxZEdraU9pSjRJbjAuQUFBQQ==",
	  "not_a_token error;",
	  "it is the base64 of a token: decode it first (base64 -d), or give it as "
	  "client_token_base64" },
	{ "base64 of one, folded",
	  "ZXlKaGJHY2lPaUp1YjI1bEluMC5l\neUpxZEdraU9pSjRJbjAuQUFBQQ==\n",
	  "not_a_token error;",
	  "it is the base64 of a token: decode it first (base64 -d), or give it as "
	  "client_token_base64" },
	{ "a word", "hello", "not_a_token error;",
	  "it is none, or cut in the first of its three parts, after byte 5" },
	{ "two parts", "e30.e30", "not_a_token error;",
	  "it is cut in the second of its three parts, after byte 7" },
	{ "no signature", "e30.e30.", "not_a_token error;",
	  "it is cut after byte 8: its signature is missing" },
	{ "four parts", "e30.e30.e30.e30", "not_a_token error;",
	  "it has more than three parts" },
	{ "empty parts", "..", "not_a_token error;",
	  "its header, which begins at byte 1, holds no JSON object: it is none or "
	  "damaged there" },
	{ "a list for a payload", "e30.W10.AAAA", "not_a_token error;",
	  "its payload, which begins at byte 5, holds no JSON object: it is none or "
	  "damaged there" },
	{ "an odd digit", "e30.e30xy.AAAA", "not_a_token error;",
	  "it is cut or damaged in its payload, at byte 10" },
	{ "a web page", "<html></html>", "not_a_token error;",
	  "a character that no token has stands at byte 1 (line 1)" },
};

static void what_is_no_token_is_said_in_one_sentence(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(wholes); i++) {
		cleanup_json struct json *result = NULL;

		print_message("case: %s\n", wholes[i].name);
		result = check(wholes[i].text);
		assert_problems(result, wholes[i].problems);
		assert_string_equal(message(result, 0), wholes[i].message);
		assert_string_equal(json_get_string(result, "signature"), "absent");
	}
}

static void a_refusal_has_the_same_keys(void **state)
{
	cleanup_json struct json *result = NULL;
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;

	(void)state;

	assert_int_equal(jwt_refuse("missing", "there is no token", 0, &result, &err), 0);

	text = json_print(result);
	assert_string_equal(text,
			    "{\"schema\":1,\"valid\":false,\"problems\":[{\"code\":"
			    "\"missing\",\"severity\":\"error\",\"message\":\"there is "
			    "no token\"}],\"issued\":null,\"not_before\":null,"
			    "\"expires\":null,\"servers\":[],\"signature\":\"absent\","
			    "\"size\":0}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_token_is_read_whole),
		cmocka_unit_test(what_is_unknown_is_null_and_no_problem),
		cmocka_unit_test(times_are_judged_by_the_clock),
		cmocka_unit_test(another_payload_under_the_signature_is_noticed),
		cmocka_unit_test(keys_that_are_none_say_nothing),
		cmocka_unit_test(damage_at_the_ends_is_a_warning),
		cmocka_unit_test(a_line_break_inside_is_named_by_its_place),
		cmocka_unit_test(what_cannot_be_seen_is_named_by_its_place),
		cmocka_unit_test(a_nul_byte_is_named),
		cmocka_unit_test(characters_of_no_token_are_named),
		cmocka_unit_test(two_tokens_are_glued),
		cmocka_unit_test(half_a_token_before_a_whole_one_is_glued),
		cmocka_unit_test(a_signature_that_looks_like_a_header_is_not_glued),
		cmocka_unit_test(a_token_cut_anywhere_is_none),
		cmocka_unit_test(what_is_no_token_is_said_in_one_sentence),
		cmocka_unit_test(a_refusal_has_the_same_keys),
	};

	return cmocka_run_group_tests_name("jwt", tests, setup, teardown);
}
