/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <getopt.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"

#define WAIT_MAX_S 86400
#define SIZE_MAX_N 32768
#define EXPIRES_MAX_DAYS 36500

enum {
	OPT_CONFIG = 256,
	OPT_ROOT,
	OPT_OFFLINE,
	OPT_SYSFS,
	OPT_SET,
	OPT_JSON,
	OPT_LOG_LEVEL,
	OPT_VERSION,
	OPT_KERNEL,
	OPT_DRIVER,
	OPT_OUTPUT,
	OPT_SIGN_COMMAND,
	OPT_SIGN_CERT,
	OPT_WAIT,
	OPT_ORIGIN,
	OPT_LOCK_WAIT,
	OPT_WATCH,
	OPT_PROMETHEUS,
	OPT_SIZE,
	OPT_BUNDLE,
	OPT_PREVIOUS,
	OPT_TOKEN_ONLY,
	OPT_DROP,
	OPT_EXPIRES,
	OPT_HOST_VERSION,
	OPT_UNATTENDED,
	OPT_BACK,
};

static const struct args_entry table[] = {
	{ "config", "FILE", "read this configuration instead of the default files",
	  OPT_CONFIG, 0 },
	{ "root", "DIR", "work on the system mounted at DIR; implies --offline", OPT_ROOT,
	  0 },
	{ "offline", NULL, "start no service, load no module, ask no metadata",
	  OPT_OFFLINE, 0 },
	{ "sysfs", "DIR", "read the PCI tree below DIR instead of /sys", OPT_SYSFS, 0 },
	{ "set", "PATH=VALUE", "override one configuration key; repeatable", OPT_SET, 0 },
	{ "json", NULL, "exactly one JSON object on standard output", OPT_JSON, 0 },
	{ "verbose", NULL, "more on standard error; twice: still more", 'v', 0 },
	{ "quiet", NULL, "less on standard error", 'q', 0 },
	{ "log-level", "LEVEL", "error, warning, notice, info or debug", OPT_LOG_LEVEL,
	  0 },
	{ "help", NULL, "show this help", 'h', 0 },
	{ "version", NULL, "show the version", OPT_VERSION, 0 },
	{ "kernel", "REL", "for this kernel release; repeatable", OPT_KERNEL,
	  ARGS_KERNEL },
	{ "kernel", "REL", "for this kernel release", OPT_KERNEL, ARGS_ONE_KERNEL },
	{ "host-version", "VERSION",
	  "what a new guest would get on a host with this driver; no GPU is needed",
	  OPT_HOST_VERSION, ARGS_HOST_VERSION },
	{ "driver", "FILE", "use this driver file", OPT_DRIVER, ARGS_DRIVER },
	{ "previous", NULL, "put the driver before back, from its kept package", OPT_BACK,
	  ARGS_BACK },
	{ "output", "DIR", "put the file here (default: the current folder)", OPT_OUTPUT,
	  ARGS_OUTPUT },
	{ "output", "FILE", "write the archive here", OPT_OUTPUT, ARGS_ARCHIVE },
	{ "sign-command", "PROGRAM",
	  "signs a module's digest where the key is: PROGRAM DIGEST-FILE SIGNATURE-FILE",
	  OPT_SIGN_COMMAND, ARGS_SIGN },
	{ "sign-cert", "FILE", "the certificate of that key", OPT_SIGN_CERT, ARGS_SIGN },
	{ "wait", "SECONDS", "wait so long for the license", OPT_WAIT, ARGS_WAIT },
	{ "watch", NULL, "show it again every two seconds, until a signal", OPT_WATCH,
	  ARGS_WATCH },
	{ "prometheus", NULL, "as metrics, in the text exposition format", OPT_PROMETHEUS,
	  ARGS_PROMETHEUS },
	{ "size", "N", "transpose matrices of N x N floats (default: 1024)", OPT_SIZE,
	  ARGS_SIZE },
	{ "bundle", "FILE", "write a support archive without secrets there", OPT_BUNDLE,
	  ARGS_BUNDLE },
	{ "origin", NULL, "say where each value comes from", OPT_ORIGIN, ARGS_ORIGIN },
	{ "output", "FILE", "write the index here, whole or not at all", OPT_OUTPUT,
	  ARGS_DOCUMENT },
	{ "previous", "FILE",
	  "the index before: its other entries stay, its serial counts on", OPT_PREVIOUS,
	  ARGS_PREVIOUS },
	{ "drop", "NAME", "take this entry of --previous out; repeatable", OPT_DROP,
	  ARGS_DROP },
	{ "expires", "DAYS",
	  "guests refuse the signed index after so many days; 0: never", OPT_EXPIRES,
	  ARGS_EXPIRES },
	{ "token-only", NULL, "take over token and gridd.conf; the driver stays as it is",
	  OPT_TOKEN_ONLY, ARGS_TOKEN_ONLY },
	{ "unattended", NULL, "as units call it: nothing after seal or uninstall",
	  OPT_UNATTENDED, ARGS_UNATTENDED },
	{ "lock-wait", "SECONDS", "wait so long for another instance to end",
	  OPT_LOCK_WAIT, ARGS_LOCK_WAIT },
};

static int read_number(const char *option, const char *value, unsigned most,
		       unsigned *ret_number, struct error *err)
{
	uint64_t number;

	if (!span_to_u64(span_of(value), &number) || number > most)
		return error_set(err, ERROR_USAGE,
				 "--%s %s: a number from 0 to %u is expected", option,
				 value, most);
	*ret_number = (unsigned)number;
	return 0;
}

static int add_word(const char **list, size_t limit, size_t *count, const char *value,
		    const char *what, struct error *err)
{
	if (*count == limit)
		return error_set(err, ERROR_USAGE, "more than %zu %s", limit, what);
	list[(*count)++] = value;
	return 0;
}

static void louder(struct args *args, int by)
{
	int level = (int)args->log_level + by;

	if (level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_DEBUG)
		args->log_level = (enum log_level)level;
}

static int take_global(struct args *args, int id, const char *value, struct error *err)
{
	switch (id) {
	case OPT_CONFIG:
		args->request.options.config = value;
		return 0;
	case OPT_ROOT:
		args->request.options.root = value;
		return 0;
	case OPT_OFFLINE:
		args->request.options.offline = true;
		return 0;
	case OPT_SYSFS:
		args->request.options.sysfs = value;
		return 0;
	case OPT_SET:
		return add_word(args->request.options.sets, CONTEXT_SETS_MAX,
				&args->request.options.set_count, value, "--set", err);
	case OPT_JSON:
		args->request.json = true;
		return 0;
	case OPT_LOG_LEVEL:
		if (!log_level_parse(value, &args->log_level))
			return error_set(err, ERROR_USAGE,
					 "--log-level %s: one of error, warning, notice, "
					 "info, debug is expected",
					 value);
		return 0;
	case OPT_VERSION:
		args->version = true;
		return 0;
	default:
		return error_set(err, ERROR_INTERNAL, "option %d has no meaning", id);
	}
}

static int take(struct args *args, int id, const char *value, struct error *err)
{
	switch (id) {
	case 'v':
		louder(args, 1);
		return 0;
	case 'q':
		louder(args, -1);
		return 0;
	case 'h':
		args->help = true;
		return 0;
	case OPT_KERNEL:
		return add_word(args->request.options.kernels, CONTEXT_KERNELS_MAX,
				&args->request.options.kernel_count, value, "--kernel",
				err);
	case OPT_HOST_VERSION:
		args->request.options.host_version = value;
		return 0;
	case OPT_BACK:
		args->request.options.previous = true;
		return 0;
	case OPT_DRIVER:
		args->request.options.driver = value;
		return 0;
	case OPT_OUTPUT:
		args->request.output = value;
		return 0;
	case OPT_SIGN_COMMAND:
		args->request.options.sign_command = value;
		return 0;
	case OPT_SIGN_CERT:
		args->request.options.sign_cert = value;
		return 0;
	case OPT_WAIT:
		args->request.waits = true;
		return read_number("wait", value, WAIT_MAX_S, &args->request.wait_s, err);
	case OPT_LOCK_WAIT:
		return read_number("lock-wait", value, WAIT_MAX_S,
				   &args->request.lock_wait_s, err);
	case OPT_SIZE:
		return read_number("size", value, SIZE_MAX_N, &args->request.size, err);
	case OPT_BUNDLE:
		args->request.bundle = value;
		return 0;
	case OPT_PREVIOUS:
		args->request.previous = value;
		return 0;
	case OPT_DROP:
		return add_word(args->request.drops, REQUEST_DROPS_MAX,
				&args->request.drop_count, value, "--drop", err);
	case OPT_EXPIRES:
		args->request.expires = true;
		return read_number("expires", value, EXPIRES_MAX_DAYS,
				   &args->request.expires_days, err);
	case OPT_ORIGIN:
		args->request.origin = true;
		return 0;
	case OPT_TOKEN_ONLY:
		args->request.token_only = true;
		return 0;
	case OPT_UNATTENDED:
		args->request.options.unattended = true;
		return 0;
	case OPT_WATCH:
		args->request.watch = true;
		return 0;
	case OPT_PROMETHEUS:
		args->request.prometheus = true;
		return 0;
	default:
		return take_global(args, id, value, err);
	}
}

static unsigned option_of(int id)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].id == id)
			return table[i].option;
	}
	return 0;
}

/* The option that was mistyped; NULL where none is near. */
static const char *find_near(const char *word)
{
	size_t length = strcspn(word, "=");
	unsigned best = length < 6 ? 2 : length < 9 ? 3 : 4; /* so many: another word */
	const char *nearest = NULL;
	char typed[64];

	(void)text_format(typed, sizeof(typed), "%.*s", (int)length, word);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		unsigned distance = text_distance(typed, table[i].name);

		if (distance < best) {
			best = distance;
			nearest = table[i].name;
		}
	}
	return nearest;
}

static int refuse_option(const char *word, int id, struct error *err)
{
	const char *near;

	if (id == ':')
		return error_set(err, ERROR_USAGE, "%s needs a value", word);
	if (optopt && optopt < 256)
		return error_set(err, ERROR_USAGE, "unknown option -%c", optopt);
	(void)error_set(err, ERROR_USAGE, "unknown option %s", word);
	near = find_near(word + strspn(word, "-"));
	return near ? error_hint(err, "did you mean --%s?", near) : -1;
}

/* The options of the table, in order, but one; the list ends with a zeroed one. */
static void list_options(int left_out, struct option options[ARRAY_SIZE(table) + 1])
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].id == left_out)
			continue;
		options[count++] = (struct option){
			.name = table[i].name,
			.has_arg = table[i].value ? required_argument : no_argument,
			.val = table[i].id,
		};
	}
}

/* The place of the first word that is no option, nor the value of one. */
static int first_word(int argc, char *argv[], const struct option *options)
{
	opterr = 0;
	optind = 0; /* begins anew, also in tests */
	while (getopt_long(argc, argv, "+:vqh", options, NULL) != -1)
		;
	return optind;
}

void args_command_words(int argc, char *argv[], struct args *ret_args)
{
	struct option options[ARRAY_SIZE(table) + 1] = { { 0 } };
	int at;

	list_options(OPT_PREVIOUS, options);
	*ret_args = (struct args){ .help = true };
	for (at = first_word(argc, argv, options);
	     at < argc && argv[at][0] != '-' && ret_args->request.operand_count < 2; at++)
		ret_args->request.operands[ret_args->request.operand_count++] = argv[at];
}

int args_parse(int argc, char *argv[], struct args *ret_args, struct error *err)
{
	struct option options[ARRAY_SIZE(table) + 1] = { { 0 } };
	struct args args = { .log_level = LOG_LEVEL_NOTICE };
	int id;

	/* --previous takes a FILE, but of install. */
	list_options(OPT_PREVIOUS, options);
	id = first_word(argc, argv, options);
	if (id == argc || strcmp(argv[id], "install") != 0)
		list_options(OPT_BACK, options);
	optind = 0;
	while ((id = getopt_long(argc, argv, ":vqh", options, NULL)) != -1) {
		if (id == '?' || id == ':')
			return refuse_option(argv[optind - 1], id, err);
		if (take(&args, id, optarg, err) < 0)
			return -1;
		args.given |= option_of(id);
	}
	for (; optind < argc; optind++) {
		if (add_word(args.request.operands, REQUEST_OPERANDS_MAX,
			     &args.request.operand_count, argv[optind], "arguments",
			     err) < 0)
			return -1;
	}

	*ret_args = args;
	return 0;
}

size_t args_count(void)
{
	return ARRAY_SIZE(table);
}

const struct args_entry *args_at(size_t index)
{
	return &table[index];
}

const char *args_option_name(unsigned option)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].option & option)
			return table[i].name;
	}
	return "";
}

unsigned args_same_name(unsigned options)
{
	unsigned all = options;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(table); k++) {
			if (table[i].option & options && table[k].id == table[i].id)
				all |= table[k].option;
		}
	}
	return all;
}

#define HELP_COLUMN 27

/* Words in lines that begin where the cursor is now. */
static void print_words(FILE *out, const char *text)
{
	struct span rest = span_of(text), word;
	size_t column = HELP_COLUMN;

	while (rest.len > 0) {
		(void)span_split(rest, ' ', &word, &rest);
		if (column > HELP_COLUMN && column + 1 + word.len >= ARGS_WIDTH) {
			(void)fprintf(out, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		}
		(void)fprintf(out, "%s%.*s", column > HELP_COLUMN ? " " : "",
			      (int)word.len, word.at);
		column += word.len + (column > HELP_COLUMN);
	}
	(void)fputc('\n', out);
}

static void print_option(FILE *out, const struct args_entry *entry)
{
	char letter = args_letter(entry), name[48];
	int column;

	(void)text_format(name, sizeof(name), "--%s%s%s", entry->name,
			  entry->value ? " " : "", entry->value ? entry->value : "");
	column = letter ? fprintf(out, "  -%c, %s", letter, name)
			: fprintf(out, "      %s", name);
	if (column + 2 > HELP_COLUMN) {
		(void)fputc('\n', out);
		column = 0;
	}
	(void)fprintf(out, "%*s", HELP_COLUMN - column, "");
	print_words(out, entry->help);
}

void args_print_options(FILE *out, unsigned mask, bool global)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].option ? table[i].option & mask : global)
			print_option(out, &table[i]);
	}
}
