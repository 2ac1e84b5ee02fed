/* SPDX-License-Identifier: Apache-2.0 */
#include "token.h"

#include "system.h"

#include <ctype.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKEN 65536

struct part {
	const char *text;
	size_t length;
};

static int first_file(const char *folder, char *ret_path, size_t size)
{
	char path[PATH_MAX];
	struct dirent **entries = NULL;
	int count = scandir(path_at(path, folder), &entries, NULL, alphasort);
	bool found = false;

	for (int i = 0; i < count; i++) {
		if (!found && entries[i]->d_name[0] != '.') {
			snprintf(ret_path, size, "%s/%s", folder, entries[i]->d_name);
			found = true;
		}
		free(entries[i]);
	}
	free(entries);
	return found ? 0 : -1;
}

/* Exactly three parts of the base64url alphabet, none of them empty. */
static int split(const char *text, struct part ret_parts[static 3])
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (int i = 0; i < 3; i++) {
		ret_parts[i].text = text;
		ret_parts[i].length = strspn(text, alphabet);
		text += ret_parts[i].length;
		if (ret_parts[i].length == 0 || *text != (i < 2 ? '.' : '\0'))
			return -1;
		text++;
	}
	return 0;
}

static long decode(const struct part *part, char *ret_bytes, size_t size)
{
	static char padded[MAX_TOKEN];
	size_t length = part->length;
	int count;

	if (length % 4 == 1 || length + 4 > sizeof(padded) || length + 4 > size)
		return -1;
	for (size_t i = 0; i < length; i++)
		padded[i] = (char)(part->text[i] == '-'   ? '+'
				   : part->text[i] == '_' ? '/'
							  : part->text[i]);
	while (length % 4)
		padded[length++] = '=';
	count = EVP_DecodeBlock((unsigned char *)ret_bytes, (unsigned char *)padded,
				(int)length);
	if (count < 0)
		return -1;
	count -= (int)(length - part->length);
	ret_bytes[count] = '\0';
	return count;
}

/* The first member of that name, wherever it stands: enough for a token. */
static const char *member(const char *json, const char *name)
{
	char quoted[64];
	const char *found;

	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	found = strstr(json, quoted);
	if (!found)
		return "";
	found += strlen(quoted);
	return found + strspn(found, " \t\r\n:");
}

static void string_member(const char *json, const char *name, char *ret_text, size_t size)
{
	const char *from = member(json, name);
	size_t length = 0;

	if (*from == '"')
		from++;
	for (; *from && *from != '"' && length < size - 1; from++) {
		if (from[0] == '\\' && from[1] == 'n') {
			ret_text[length++] = '\n';
			from++;
		} else if (from[0] != '\\') {
			ret_text[length++] = *from;
		}
	}
	ret_text[length] = '\0';
}

static bool signature_fits(const char *json, const struct part parts[static 3])
{
	static char signature[MAX_TOKEN];
	char pem[4096];
	long length = decode(&parts[2], signature, sizeof(signature));
	size_t covered = parts[0].length + 1 + parts[1].length;
	BIO *bio;
	EVP_PKEY *key;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool fits = false;

	string_member(json, "service_instance_public_key_pem", pem, sizeof(pem));
	bio = BIO_new_mem_buf(pem, -1);
	key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	if (key && context && length > 0 &&
	    EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1)
		fits = EVP_DigestVerify(
			       context, (unsigned char *)signature, (size_t)length,
			       (const unsigned char *)parts[0].text, covered) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return fits;
}

int token_read(struct token *ret_token, const char *folder, char *ret_why, size_t size)
{
	static char text[MAX_TOKEN];
	static char json[MAX_TOKEN];
	struct part parts[3];
	char path[PATH_MAX];
	char *begin = text;
	long length;

	snprintf(ret_why, size, "Invalid token");
	if (first_file(folder, path, sizeof(path)) < 0)
		return TOKEN_MISSING;
	length = read_text(path, text, sizeof(text));
	if (length < 0)
		return TOKEN_MISSING;
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		text[--length] = '\0';
	if (strncmp(begin, "\xef\xbb\xbf", 3) == 0)
		begin += 3;
	begin += strspn(begin, " \t\r\n");
	if (split(begin, parts) < 0)
		return TOKEN_BAD_SIGNATURE;
	length = decode(&parts[1], json, sizeof(json));
	if (length < 2 || json[0] != '{' || json[length - 1] != '}')
		return TOKEN_MALFORMED;
	string_member(json, "url", ret_token->host, sizeof(ret_token->host));
	if (!*ret_token->host)
		return TOKEN_MALFORMED;
	ret_token->not_before = (time_t)strtoll(member(json, "nbf"), NULL, 10);
	ret_token->expires = (time_t)strtoll(member(json, "exp"), NULL, 10);
	return signature_fits(json, parts) ? TOKEN_OK : TOKEN_BAD_SIGNATURE;
}
