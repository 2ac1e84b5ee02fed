/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/http_proxy.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/span.h"

#define ADDRESS_MAX 16

/* The first of these variables that says something; NULL: none does. */
static const char *from_environment(const char *const *names)
{
	for (; *names; names++) {
		const char *value = secure_getenv(*names);

		if (value && value[0])
			return value;
	}
	return NULL;
}

/* Its bytes: 4 or 16 of them; 0: it is no address. */
static size_t read_address(const char *text, unsigned char address[static ADDRESS_MAX])
{
	if (inet_pton(AF_INET, text, address) == 1)
		return 4;
	return inet_pton(AF_INET6, text, address) == 1 ? 16 : 0;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, uint64_t bits)
{
	unsigned rest = (unsigned)(bits % 8);
	unsigned mask = 0xff00u >> rest & 0xff;

	return memcmp(a, b, bits / 8) == 0 &&
	       (rest == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

/* "10.0.0.1", "10.0.0.0/8", "[fd00::1]" */
static bool names_address(struct span entry, const char *host)
{
	unsigned char wanted[ADDRESS_MAX], given[ADDRESS_MAX];
	char text[INET6_ADDRSTRLEN + 2];
	struct span head, bits;
	size_t size = read_address(host, wanted);
	uint64_t count;
	bool range = span_split(entry, '/', &head, &bits);

	if (span_skip(&head, "[") && head.len > 0)
		head.len--;
	if (size == 0 || !span_copy(head, text, sizeof(text)) ||
	    read_address(text, given) != size)
		return false;
	if (!range)
		return memcmp(wanted, given, size) == 0;
	return span_to_u64(bits, &count) && count <= 8 * size &&
	       same_bits(wanted, given, count);
}

/* "example.org" and ".example.org" stand for the name and for what ends with it. */
static bool names_domain(struct span entry, const char *host)
{
	size_t length = strlen(host);

	if (span_ends(entry, "."))
		entry.len--;
	if (length > 0 && host[length - 1] == '.')
		length--;
	(void)span_skip(&entry, ".");
	if (entry.len == 0 || entry.len > length ||
	    strncasecmp(host + length - entry.len, entry.at, entry.len) != 0)
		return false;
	return entry.len == length || host[length - entry.len - 1] == '.';
}

bool http_proxy_excepts(const char *list, const char *host)
{
	unsigned char address[ADDRESS_MAX];
	bool numeric = read_address(host, address) > 0;

	while (*list) {
		struct span entry = { list, strcspn(list, ", \t") };

		list += entry.len;
		list += strspn(list, ", \t");
		if (span_equals(entry, "*") ||
		    (numeric ? names_address(entry, host) : names_domain(entry, host)))
			return true;
	}
	return false;
}

const char *http_proxy_of(const struct http_options *options, const struct url *url)
{
	static const char *const plain[] = { "http_proxy", "all_proxy", "ALL_PROXY",
					     NULL };
	static const char *const tls[] = { "https_proxy", "HTTPS_PROXY", "all_proxy",
					   "ALL_PROXY", NULL };
	static const char *const none[] = { "no_proxy", "NO_PROXY", NULL };
	const char *proxy = options->proxy, *except;

	if (!proxy)
		return "";
	if (!proxy[0])
		proxy = from_environment(url->https ? tls : plain);
	except = from_environment(none);
	return !proxy || (except && http_proxy_excepts(except, url->host)) ? "" : proxy;
}
