/* SPDX-License-Identifier: Apache-2.0 */
#include "model/transport.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

bool transport_trusts(const struct json *hosts, const struct url *url)
{
	for (size_t i = 0; i < json_count(hosts); i++) {
		const char *host = json_as_string(json_at(hosts, i));

		if (text_starts(host, "https://")) {
			if (!url->https)
				continue;
			host += strlen("https://");
		}
		if (strcasecmp(host, url->host) == 0)
			return true;
	}

	return false;
}
