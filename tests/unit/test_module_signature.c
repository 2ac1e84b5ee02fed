/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/module_signature.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "support/cmocka.h"
#include "support/openssl.h"
#include "support/sysroot.h"

#define MAGIC "~Module signature appended~\n"

/* "CONTENT" and a signature of three bytes, with the given trailer. */
static size_t put_together(char *module, const char *trailer)
{
	memcpy(module, "CONTENTsig", 10);
	memcpy(module + 10, trailer, 12);
	memcpy(module + 22, MAGIC, strlen(MAGIC));
	return 22 + strlen(MAGIC);
}

static void the_end_of_a_module_says_what_its_signature_is(void **state)
{
	static const struct {
		char trailer[13];
		bool found;
	} rows[] = {
		{ "\0\0\2\0\0\0\0\0\0\0\0\3", true },
		{ "\0\0\1\0\0\0\0\0\0\0\0\3", false }, /* X.509 by name, long gone */
		{ "\0\0\2\0\0\0\0\0\0\0\0\0", false },
		{ "\0\0\2\0\0\0\0\0\0\0\0\12", false },
		{ "\0\0\2\0\0\0\0\0\377\377\377\377", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct span content, signature;
		char module[64];
		size_t size = put_together(module, rows[i].trailer);
		bool found = module_signature_find((struct span){ module, size },
						   &content, &signature);

		if (found != rows[i].found)
			fail_msg("row %zu", i);
		if (found) {
			assert_true(span_equals(content, "CONTENT"));
			assert_true(span_equals(signature, "sig"));
		}
		assert_false(module_signature_find((struct span){ module, size - 1 },
						   &content, &signature));
	}
}

static int hold(const char *text, size_t size)
{
	int fd = memfd_create("module", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, size, &err), 0);
	return fd;
}

/* As sign-file does it: the PKCS#7, a trailer, the mark. */
static size_t append(const char *folder, char *module, size_t size, const char *signer)
{
	char command[256], trailer[12] = { 0, 0, 2 };
	size_t length;
	char *signature;

	(void)snprintf(
		command, sizeof(command),
		"cms -sign -binary -noattr -nocerts -outform DER -md sha256 -in module "
		"-signer %s.pem -inkey %s.key -out s",
		signer, signer);
	openssl_do(folder, command);
	signature = openssl_read(folder, "s", &length);
	trailer[10] = (char)(length >> 8);
	trailer[11] = (char)length;
	memcpy(module + size, signature, length);
	memcpy(module + size + length, trailer, sizeof(trailer));
	memcpy(module + size + length + sizeof(trailer), MAGIC, strlen(MAGIC));
	free(signature);
	return size + length + sizeof(trailer) + strlen(MAGIC);
}

static int check(const char *module, size_t size, const char *pem, struct error *err)
{
	cleanup_fd int fd = hold(module, size);

	return module_signature_check(fd, size, "nvidia.ko", span_of(pem), err);
}

static void the_last_signature_counts(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char module[8192] = "the module";
	size_t size = strlen(module), length;
	char *one, *other;

	openssl_do(sysroot->dir, "req -new -x509 -newkey rsa:2048 -nodes -subj /CN=A "
				 "-keyout one.key -out one.pem");
	openssl_do(sysroot->dir, "req -new -x509 -newkey rsa:2048 -nodes -subj /CN=A "
				 "-keyout other.key -out other.pem");
	one = openssl_read(sysroot->dir, "one.pem", &length);
	other = openssl_read(sysroot->dir, "other.pem", &length);

	assert_int_equal(check(module, size, one, &err), -1);
	assert_string_equal(err.text, "nvidia.ko is not signed");
	assert_int_equal(err.code, ERROR_INTEGRITY);

	sysroot_write(sysroot, "/module", module);
	size = append(sysroot->dir, module, size, "one");
	assert_int_equal(check(module, size, one, &err), 0);
	assert_int_equal(check(module, size, other, &err), -1);
	assert_non_null(strstr(err.text, "not signed by the key"));

	assert_int_equal(
		file_write_atomic(&sysroot->root, "/module", module, size, 0644, &err),
		0);
	size = append(sysroot->dir, module, size, "other");
	assert_int_equal(check(module, size, other, &err), 0);
	assert_int_equal(check(module, size, one, &err), -1);

	module[0] = 'T';
	assert_int_equal(check(module, size, other, &err), -1);
	free(one);
	free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_a_module_says_what_its_signature_is),
		cmocka_unit_test_setup_teardown(the_last_signature_counts, sysroot_setup,
						sysroot_teardown),
	};

	return cmocka_run_group_tests_name("module_signature", tests, NULL, NULL);
}
