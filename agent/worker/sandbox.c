/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sandbox.h"

#if defined(VGPU_BARE) || defined(VGPU_INSTRUMENTED)

/* A test looks for this in what is packed. */
__attribute__((used)) static const char bare[] = "built without the worker's layers";

int sandbox_enter(bool online, const struct json *request, const char *told,
		  struct error *err)
{
	(void)online;
	(void)request;
	(void)told;
	(void)err;
	return 0;
}

struct sandbox_layers sandbox_layers(void)
{
	return (struct sandbox_layers){ .landlock = 0 };
}

bool sandbox_may_connect(unsigned port)
{
	(void)port;
	return true;
}

#else

#	include <string.h>

#	include "base/confine.h"
#	include "base/text.h"
#	include "model/url.h"
#	include "worker/filter.h"
#	include "worker/landlock.h"

#	define PORTS_MAX 1024  /* probe asks many ports of many servers */
#	define PROXY_PORT 1080 /* libcurl's, where the proxy's URL names none */

/* Of this process, as its filter is: what it may connect to. */
struct ports {
	uint16_t list[PORTS_MAX];
	size_t count;
	bool held; /* by the kernel: Landlock of ABI 4 */
};

static struct ports held;
static struct sandbox_layers layers;

static void add(struct ports *ports, int64_t port)
{
	if (port > 0 && port <= UINT16_MAX && ports->count < PORTS_MAX)
		ports->list[ports->count++] = (uint16_t)port;
}

static void add_url(struct ports *ports, const char *text)
{
	struct url url;

	if (text && url_parse(text, &url))
		add(ports, url.port);
}

/* A proxy may be written as "host:port", and with a user before it. */
static void add_proxy(struct ports *ports, const char *text)
{
	const char *colon = text ? strrchr(text, ':') : NULL;

	if (!text || !text[0])
		return;
	add(ports, PROXY_PORT);
	add_url(ports, text);
	if (colon)
		add(ports, strtol(colon + 1, NULL, 10));
}

/*
 * Where this job may connect to: the resolver, the web, and what the agent names. A
 * redirect to another port is refused here, and is the agent's to allow.
 */
static void collect(struct ports *ports, const struct json *request)
{
	static const char *const urls[] = { "url", "repository", "service" };
	static const char *const proxies[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
					       "all_proxy", "ALL_PROXY" };
	const struct json *servers = json_get(request, "servers");
	const struct json *more = json_get(request, "ports");

	add(ports, 53);
	add(ports, 80);
	add(ports, 443);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		add_url(ports, json_get_string(request, urls[i]));
	add_proxy(ports, json_get_string(json_get(request, "http"), "proxy"));
	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		add_proxy(ports, secure_getenv(proxies[i]));
	for (size_t i = 0; i < json_count(more); i++)
		add(ports, json_as_int(json_at(more, i)));
	for (size_t i = 0; i < json_count(servers); i++) {
		const struct json *list = json_get(json_at(servers, i), "ports");

		for (size_t j = 0; j < json_count(list); j++)
			add(ports, json_as_int(json_at(list, j)));
	}
}

int sandbox_enter(bool online, const struct json *request, const char *told,
		  struct error *err)
{
	collect(&held, request);
	if (landlock_enter(online, held.list, held.count, &layers.landlock, err) < 0 ||
	    filter_enter(online, err) < 0)
		return -1;
	held.held = layers.landlock >= LANDLOCK_ABI_PORTS;
	layers.filter = true;
	layers.own_network = told && (told[0] - '0') & CONFINE_OWN_NETWORK;
	layers.own_mounts = told && (told[0] - '0') & CONFINE_OWN_MOUNTS;
	return 0;
}

struct sandbox_layers sandbox_layers(void)
{
	return layers;
}

bool sandbox_may_connect(unsigned port)
{
	for (size_t i = 0; held.held && i < held.count; i++) {
		if (held.list[i] == port)
			return true;
	}
	return !held.held;
}

#endif
