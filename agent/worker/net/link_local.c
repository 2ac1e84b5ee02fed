/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/net/link_local.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/text.h"

static void cleanup_interfaces(struct ifaddrs **all)
{
	if (*all)
		freeifaddrs(*all);
}

static bool has_ipv4(const struct ifaddrs *all)
{
	for (; all; all = all->ifa_next) {
		if (all->ifa_addr && all->ifa_addr->sa_family == AF_INET &&
		    !(all->ifa_flags & IFF_LOOPBACK))
			return true;
	}
	return false;
}

static bool is_candidate(const struct ifaddrs *one)
{
	return one->ifa_addr && one->ifa_addr->sa_family == AF_INET6 &&
	       one->ifa_flags & IFF_UP && !(one->ifa_flags & IFF_LOOPBACK);
}

int link_local_urls(struct json **ret_result, struct error *err)
{
	cleanup(cleanup_interfaces) struct ifaddrs *all = NULL;
	cleanup_json struct json *urls = json_build("[]");

	if (!urls)
		return error_set_errno(err, ENOMEM, "looking for interfaces");
	if (getifaddrs(&all) < 0)
		all = NULL; /* then the service is not found that way */
	for (const struct ifaddrs *one = has_ipv4(all) ? NULL : all; one;
	     one = one->ifa_next) {
		char url[sizeof(LINK_LOCAL_BEGIN) + IF_NAMESIZE + 1];

		if (is_candidate(one) &&
		    text_format(url, sizeof(url), "%s%s]", LINK_LOCAL_BEGIN,
				one->ifa_name) &&
		    json_append(urls, json_words(url)) < 0)
			return error_set_errno(err, ENOMEM, "looking for interfaces");
	}

	*ret_result = json_build("{s:O}", "urls", urls);
	return *ret_result ? 0 : error_set_errno(err, ENOMEM, "looking for interfaces");
}
