/* SPDX-License-Identifier: Apache-2.0 */
#include "model/url.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"

#define NAME_CHARACTERS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
#define ZONE_MAX 16 /* as IF_NAMESIZE */
#define IPV6_CHARACTERS "0123456789abcdefABCDEF:."

static bool is_plain(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p <= ' ' || *p >= 0x7f || *p == '\\')
			return false;
	}

	return strlen(text) < URL_MAX;
}

static bool read_scheme(const char *text, bool *ret_https, const char **ret_rest)
{
	bool https = strncasecmp(text, "https://", 8) == 0;

	if (!https && strncasecmp(text, "http://", 7) != 0)
		return false;
	*ret_https = https;
	*ret_rest = text + (https ? 8 : 7);
	return true;
}

static void lower(char *text)
{
	for (; *text; text++) {
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text + ('a' - 'A'));
	}
}

/* "host", "host:port", "[address]:port" */
static bool read_host(struct span authority, struct url *url)
{
	bool bracket = span_skip(&authority, "[");
	size_t len = bracket ? strspn(authority.at, IPV6_CHARACTERS)
			     : strspn(authority.at, NAME_CHARACTERS);
	uint64_t port;

	if (len == 0 || len > authority.len ||
	    !span_copy((struct span){ authority.at, len }, url->host, sizeof(url->host)))
		return false;
	lower(url->host);
	authority.at += len;
	authority.len -= len;
	/* Of a link-local address the interface, whose name has capitals (RFC 6874). */
	if (bracket && span_skip(&authority, "%25")) {
		size_t used = strlen(url->host);

		len = strspn(authority.at, NAME_CHARACTERS);
		if (len == 0 || len > authority.len || len >= ZONE_MAX ||
		    !text_format(url->host + used, sizeof(url->host) - used, "%%%.*s",
				 (int)len, authority.at))
			return false;
		authority.at += len;
		authority.len -= len;
	}
	if (bracket && !span_skip(&authority, "]"))
		return false;

	if (authority.len == 0)
		return true;
	if (!span_skip(&authority, ":") || !span_to_u64(authority, &port) || port == 0 ||
	    port > UINT16_MAX)
		return false;
	url->port = (unsigned)port;
	return true;
}

bool url_parse(const char *text, struct url *ret_url)
{
	struct url url = { .https = false };
	struct span authority, user, host;
	const char *rest;

	if (!is_plain(text) || !read_scheme(text, &url.https, &rest))
		return false;

	url.port = url.https ? 443 : 80;
	authority = (struct span){ rest, strcspn(rest, "/?#") };
	if (!span_split(authority, '@', &user, &host))
		host = authority;
	else if (memchr(host.at, '@', host.len))
		return false;
	if (!read_host(host, &url))
		return false;

	*ret_url = url;
	return true;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->https == b->https && a->port == b->port &&
	       strcmp(a->host, b->host) == 0;
}

static bool is_local_ipv4(const unsigned char *address)
{
	return address[0] == 127 || address[0] == 0 ||
	       (address[0] == 169 && address[1] == 254);
}

/*
 * Besides loopback and link-local: what leads to such an IPv4 address (mapped,
 * compatible, by NAT64 and 6to4), and the address that a cloud's metadata service has by
 * IPv6.
 */
static bool is_local_ipv6(const unsigned char *address)
{
	static const unsigned char zero[12], mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const unsigned char metadata[16] = { 0xfd, 0x00,        0x0e,
						    0xc2, [14] = 0x02, [15] = 0x54 };

	if (memcmp(address, zero, 12) == 0 || memcmp(address, mapped, 12) == 0 ||
	    memcmp(address, nat64, 12) == 0)
		return is_local_ipv4(address + 12);
	if (address[0] == 0x20 && address[1] == 0x02)
		return is_local_ipv4(address + 2);
	return memcmp(address, metadata, 16) == 0 ||
	       (address[0] == 0xfe && (address[1] & 0xc0) == 0x80);
}

bool url_is_local(const struct url *url)
{
	unsigned char address[16];
	const char *label = strrchr(url->host, '.');
	const char *last = label && label[1] ? label + 1 : url->host;

	/* Only an address of one link has the name of an interface behind it. */
	if (strchr(url->host, '%'))
		return true;

	if (inet_pton(AF_INET6, url->host, address) == 1)
		return is_local_ipv6(address);
	if (inet_pton(AF_INET, url->host, address) == 1)
		return is_local_ipv4(address);

	/* inet_aton(3) and with it libcurl takes more forms of numbers than those. */
	if (last[0] >= '0' && last[0] <= '9')
		return true;
	return strcmp(url->host, "localhost") == 0 ||
	       strcmp(url->host, "localhost.") == 0 || text_ends(url->host, ".localhost");
}

char *url_redact(const char *text, char *buffer, size_t size)
{
	const char *scheme = strstr(text, "://");
	size_t head = scheme ? (size_t)(scheme - text) + 3 : 0;
	const char *rest = text + head;
	size_t authority = strcspn(rest, "/?#");
	size_t end = strcspn(rest, "?#");

	for (size_t i = authority; i > 0; i--) {
		if (rest[i - 1] == '@') {
			rest += i;
			end -= i;
			break;
		}
	}

	(void)text_format(buffer, size, "%.*s%.*s", (int)head, text, (int)end, rest);
	text_sanitize(buffer);
	return buffer;
}

bool url_has_password(const char *text)
{
	const char *scheme = strstr(text, "://");
	const char *rest = scheme ? scheme + 3 : text;
	const char *end = rest + strcspn(rest, "/?#");
	const char *at = memrchr(rest, '@', (size_t)(end - rest));

	return at && memchr(rest, ':', (size_t)(at - rest));
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("-._~/", c));
}

bool url_encode_path(const char *path, char *buffer, size_t size)
{
	size_t used = 0;

	buffer[0] = '\0';
	for (; *path; path++) {
		unsigned byte = (unsigned char)*path;

		if (is_unreserved(*path)
			    ? !text_format(buffer + used, size - used, "%c", *path)
			    : !text_format(buffer + used, size - used, "%%%02X", byte))
			return false;
		used += strlen(buffer + used);
	}
	return true;
}
