/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/obtain.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "driver/bound.h"
#include "driver/choose.h"
#include "model/url.h"

/* What the index of the repository has of the chosen file, or NULL. */
static const struct index_file *find_indexed(const struct repository *repository,
					     const struct work *work)
{
	const struct package *package = &work->match.package;

	if (work->match.rule != MATCH_URL)
		return index_find(repository->index, package->name);
	return package->sha256[0]
		       ? bound_file(repository, span_of(package->name), package->sha256)
		       : NULL;
}

static struct member_wish wish_of(const struct context *ctx, const struct work *work)
{
	const char *package = ctx->settings.driver.package;
	bool any = strcmp(package, "auto") == 0;

	return (struct member_wish){
		.bundle = work->match.package.name,
		.arch = work->guest->os.arch,
		.kinds = { strcmp(package, "deb") == 0   ? PACKAGE_DEB
			   : strcmp(package, "rpm") == 0 ? PACKAGE_RPM
							 : PACKAGE_RUN,
			   any ? choose_os_kind(&work->guest->os) : PACKAGE_NONE,
			   PACKAGE_NONE },
	};
}

/* A pin is of the whole bundle: what the index says is compared after that. */
static const struct index_member *entry_of(const struct context *ctx,
					   const struct repository *repository,
					   const struct work *work,
					   const struct member_wish *wish)
{
	const struct index_file *file = find_indexed(repository, work);

	if (!file || ctx->settings.driver.sha256[0] ||
	    (!repository->index_signed && !repository->index_verified))
		return NULL;
	return index_choose(file, wish);
}

/* The pin wins, and must not contradict what the repository says of the same file. */
static int pin_package(const char *pin, bool indexed, struct package *package,
		       struct error *err)
{
	if (!pin[0])
		return 0;
	if (package->sha256[0] && strcmp(pin, package->sha256) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 "%s: driver.sha256 is %.12s..., the %s says %.12s...",
				 package->name, pin, indexed ? "index" : "manifest",
				 package->sha256);
	(void)text_copy(package->sha256, sizeof(package->sha256), pin);
	return 0;
}

int obtain_prepare(const struct context *ctx, const struct repository *repository,
		   const struct work *work, struct obtain_request *ret_request,
		   struct error *err)
{
	const struct settings_driver *driver = &ctx->settings.driver;
	struct package package = work->match.package;
	bool by_url = work->match.rule == MATCH_URL;
	bool indexed = find_indexed(repository, work) != NULL;
	struct member_wish wish = wish_of(ctx, work);
	char url[sizeof(ret_request->url)];

	if (by_url ? !text_copy(url, sizeof(url), driver->url)
		   : !repository_file_url(driver->repository, package.name, url,
					  sizeof(url)))
		return error_set(err, ERROR_USAGE, "the URL of %s is too long",
				 package.name);
	if (pin_package(driver->sha256, indexed, &package, err) < 0)
		return -1;

	ret_request->package = package;
	memcpy(ret_request->url, url, sizeof(url));
	ret_request->input = (struct fetch_input){
		.url = ret_request->url,
		.package = &ret_request->package,
		.pinned = driver->sha256[0] != '\0',
		.index_signed = indexed && repository->index_signed,
		.index_verified = indexed && repository->index_verified,
		.manifest_verified = !by_url && repository->verified &&
				     repository->source == REPOSITORY_MANIFEST,
		.entry = entry_of(ctx, repository, work, &wish),
		.wish = wish,
		.root = ctx->settings.driver_layer == SETTINGS_COMMAND ? &ctx->caller
								       : &ctx->root,
		.settings = &ctx->settings,
	};
	return 0;
}

static void describe_fetch(const struct fetch_result *file, struct outcome *outcome)
{
	char size[TEXT_SIZE_MAX], transferred[TEXT_SIZE_MAX];

	if (file->bytes_transferred > 0)
		outcome->kind = OUTCOME_CHANGED;
	if (file->why[0])
		log_line(LOG_LEVEL_NOTICE, "fetch      the whole bundle was fetched: %s",
			 file->why);
	if (file->integrity == FETCH_NONE)
		(void)text_copy(outcome->warning, sizeof(outcome->warning),
				"nothing vouches for this file (driver.integrity is "
				"\"warn\")");
	text_size(file->size, size);
	text_size(file->bytes_transferred, transferred);
	(void)text_format(outcome->detail, sizeof(outcome->detail),
			  "%s, %s transferred, %s", size, transferred,
			  fetch_integrity_name(file->integrity));
}

int obtain_fetch(const struct context *ctx, const struct repository *repository,
		 struct work *work, struct outcome *outcome, struct error *err)
{
	struct obtain_request request = { .url = "" };
	const struct transport *transport;

	if (work_keeps_installed(work) || work->driver.path[0]) {
		outcome_skip(outcome, "nothing to fetch");
		return 0;
	}

	if (obtain_prepare(ctx, repository, work, &request, err) < 0 ||
	    fetch_check(&request.input, err) < 0)
		return -1;
	transport = context_transport(ctx, err);
	if (!transport || fetch_file(&request.input, transport, context_cache(ctx),
				     ctx->channel, &work->file, err) < 0)
		return -1;
	describe_fetch(&work->file, outcome);
	return 0;
}

static struct unpack_input unpack_input(const struct context *ctx,
					const struct work *work)
{
	const struct member_wish wish = wish_of(ctx, work);
	struct unpack_input input = {
		.fd = work->file.fd,
		.name = work->match.package.name,
		.arch = work->guest->os.arch,
		.root = &ctx->root,
		.channel = ctx->channel,
		.runner = ctx->runner,
	};

	memcpy(input.wanted, wish.kinds, sizeof(input.wanted));
	return input;
}

/* What the file itself says wins over its name, and must not contradict the host. */
static int judge_content(const struct context *ctx, struct work *work, struct error *err)
{
	const struct unpack_content *content = &work->content;
	struct driver *driver = &work->driver;
	/* What the rules decided on is decided, NVIDIA's catalog may know better. */
	bool decided = strcmp(content->version, driver->version) == 0;

	if (content->version[0])
		(void)text_copy(driver->version, sizeof(driver->version),
				content->version);
	if (!version_valid(span_of(driver->version)))
		return error_set(err, ERROR_INTEGRITY,
				 "%s does not say which version it is",
				 work->match.package.name);
	if (content->arch[0] && strcmp(content->arch, work->guest->os.arch) != 0)
		return error_set(err, ERROR_NO_MATCH,
				 "driver %s is for %s, this guest is %s", driver->version,
				 content->arch, work->guest->os.arch);
	if (decided || ctx->settings.driver.allow_mismatch)
		return 0;
	return match_fits(&work->guest->host, driver->version, err);
}

static int contradicts(const struct work *work, const char *what, struct error *err)
{
	(void)error_set(err, ERROR_INTEGRITY, "%s contradicts " INDEX_FILE ": %s",
			work->match.package.name, what);
	(void)error_passing(err, true); /* the index may have been an older one */
	return error_hint(err, "make the index anew (vgpu-guest-agent index) and publish "
			       "it with the files that it was made of");
}

/* Whose index is wrong about what a file holds has published something else. */
static int judge_by_index(const struct index_file *file, const struct work *work,
			  struct error *err)
{
	const struct unpack_content *content = &work->content;
	const struct member *member = &content->member;
	const struct index_member *entry;
	bool bundle = member->name[0] != '\0';

	if (!file)
		return 0;
	if ((bundle ? PACKAGE_BUNDLE : content->kind) != file->kind)
		return contradicts(work, "it is of another kind", err);
	if (!bundle)
		return content->version[0] && strcmp(content->version, file->version) != 0
			       ? contradicts(work, "it is of another version", err)
			       : 0;

	entry = index_find_member(file, member->name);
	if (!entry)
		return contradicts(work, "it has another guest driver", err);
	if (entry->kind != member->kind ||
	    (member->version[0] && strcmp(entry->version, member->version) != 0) ||
	    entry->size != member->size)
		return contradicts(work, "its guest driver is of another version or size",
				   err);
	return 0;
}

static int judge_member(const struct index_file *file, const struct work *work,
			struct error *err)
{
	const struct index_member *entry =
		file ? index_find_member(file, work->content.member.name) : NULL;

	return entry && strcmp(entry->sha256, work->driver.sha256) != 0
		       ? contradicts(work, "its guest driver has another SHA-256", err)
		       : 0;
}

/* The file that was fetched is what is installed. */
static void take_as_it_is(struct work *work)
{
	struct driver *driver = &work->driver;

	driver->kind = work->content.kind;
	(void)text_copy(driver->path, sizeof(driver->path), work->file.path);
	(void)text_copy(driver->sha256, sizeof(driver->sha256), work->file.sha256);
}

static int take_member(const struct context *ctx, struct unpack_input *input,
		       struct work *work, struct error *err)
{
	struct driver *driver = &work->driver;

	driver->kind = work->content.member.kind;
	input->root = context_cache(ctx);
	if (unpack_member(input, &work->content, driver->path, sizeof(driver->path),
			  err) < 0)
		return -1;
	/* From here on it is the member that is meant: its file is named by its hash. */
	(void)span_copy(span_of(text_base_name(driver->path)), driver->sha256,
			sizeof(driver->sha256));
	return 0;
}

/* The file that is installed: of a bundle its member. */
static int take_out(const struct context *ctx, const struct repository *repository,
		    struct work *work, struct error *err)
{
	const struct index_file *indexed = find_indexed(repository, work);
	struct unpack_input input = unpack_input(ctx, work);
	struct unpack_content *content = &work->content;

	if (work->file.member.name[0])
		unpack_content_of(&work->file.member, content);
	else if (unpack_inspect(&input, content, err) < 0)
		return -1;
	if (judge_by_index(indexed, work, err) < 0 || judge_content(ctx, work, err) < 0)
		return -1;

	if (content->kind != PACKAGE_BUNDLE)
		take_as_it_is(work);
	else if (take_member(ctx, &input, work, err) < 0)
		return -1;
	return judge_member(indexed, work, err);
}

int obtain_take_out(const struct context *ctx, const struct repository *repository,
		    struct work *work, struct outcome *outcome, struct error *err)
{
	const struct driver *driver = &work->driver;

	if (work_keeps_installed(work)) {
		outcome_skip(outcome, "nothing to unpack");
		return 0;
	}
	if (!driver->path[0] && take_out(ctx, repository, work, err) < 0)
		return -1;

	outcome->kind = OUTCOME_CHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail), "%s driver %s",
			  package_kind_name(driver->kind), driver->version);
	return 0;
}
