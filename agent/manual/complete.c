/* SPDX-License-Identifier: Apache-2.0 */

/* The shell completions: see manual/manual.h. */

#include "manual/manual.h"

#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "model/settings/settings_table.h"

#define KERNELS "ls /lib/modules 2>/dev/null"
#define FILES "COMPREPLY=($(compgen -f -- \"$cur\")); compopt -o filenames"
#define LEVELS "error warning notice info debug"

/* What stands for a value of this name, by shell. */
static const struct value {
	const char *name, *bash, *zsh, *fish;
} values[] = {
	{ "FILE", FILES, ":file:_files", "-r -F" },
	{ "DIR", "COMPREPLY=($(compgen -d -- \"$cur\")); compopt -o filenames",
	  ":folder:_files -/", "-x -a '(__fish_complete_directories)'" },
	{ "REL", "COMPREPLY=($(compgen -W \"$(" KERNELS ")\" -- \"$cur\"))",
	  ":release:($(" KERNELS "))", "-x -a '(" KERNELS ")'" },
	{ "LEVEL", "COMPREPLY=($(compgen -W \"" LEVELS "\" -- \"$cur\"))",
	  ":level:(" LEVELS ")", "-x -a '" LEVELS "'" },
	{ "PATH=VALUE",
	  "COMPREPLY=($(compgen -W \"$keys\" -- \"$cur\")); compopt -o nospace",
	  ":key:($keys)", "-x -a '(string split \" \" -- $__vgpu_keys)'" },
	{ "PROGRAM", FILES, ":program:_files", "-r -F" },
	{ "SECONDS", ":", ":seconds:", "-x" },
};

static const struct value *value_of(const struct args_entry *entry)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (entry->value && strcmp(values[i].name, entry->value) == 0)
			return &values[i];
	}
	return NULL;
}

/* The first word of "token check"; true when there is a second one. */
static bool split(const struct command *command, struct span *first, struct span *second)
{
	return span_split(span_of(command->name), ' ', first, second);
}

/* Each first word once. */
static bool is_new(size_t index)
{
	struct span first, second, other;

	(void)split(&command_table[index], &first, &second);
	for (size_t i = 0; i < index; i++) {
		(void)split(&command_table[i], &other, &second);
		if (other.len == first.len && memcmp(other.at, first.at, first.len) == 0)
			return false;
	}
	return true;
}

static void put_span(FILE *out, struct span span)
{
	(void)fprintf(out, "%.*s", (int)span.len, span.at);
}

static void put_first_words(FILE *out)
{
	for (size_t i = 0; i < command_table_size; i++) {
		struct span first, second;

		if (!is_new(i))
			continue;
		(void)split(&command_table[i], &first, &second);
		(void)fprintf(out, "%.*s ", (int)first.len, first.at);
	}
}

static void put_options(FILE *out, unsigned mask)
{
	for (size_t i = 0; i < args_count(); i++) {
		const struct args_entry *entry = args_at(i);

		if (mask ? entry->option & mask : entry->option == 0)
			(void)fprintf(out, "--%s ", entry->name);
	}
}

static void put_keys(FILE *out)
{
	for (size_t i = 0; i < settings_table_count(); i++)
		(void)fprintf(out, "%s%s=", i ? " " : "", settings_table_at(i)->path);
}

/* The words after `first`: of "token" check and install. False: it stands alone. */
static bool put_second_words(FILE *out, struct span first)
{
	bool any = false;

	for (size_t i = 0; i < command_table_size; i++) {
		struct span other, second;

		if (!split(&command_table[i], &other, &second) ||
		    other.len != first.len || memcmp(other.at, first.at, first.len) != 0)
			continue;
		if (out)
			(void)fprintf(out, "%.*s ", (int)second.len, second.at);
		any = true;
	}
	return any;
}

/* --output is there more than once: where the command is not asked, the one that takes a
 * file stands for both. */
static bool comes_again(size_t index)
{
	for (size_t i = index + 1; i < args_count(); i++) {
		if (strcmp(args_at(i)->name, args_at(index)->name) == 0)
			return true;
	}
	return false;
}

/* Every option that takes a value, as a pattern: "|--config|--root". */
static void put_takers(FILE *out)
{
	for (size_t i = 0; i < args_count(); i++) {
		if (args_at(i)->value && !comes_again(i))
			(void)fprintf(out, "|--%s", args_at(i)->name);
	}
}

static void put_bash_values(FILE *out)
{
	for (size_t i = 0; i < args_count(); i++) {
		const struct value *value = value_of(args_at(i));

		if (value && !comes_again(i))
			(void)fprintf(out, "    --%s) %s; return ;;\n", args_at(i)->name,
				      value->bash);
	}
}

static void put_bash_commands(FILE *out)
{
	(void)fputs("    '') words=\"", out);
	put_first_words(out);
	(void)fputs("\" ;;\n", out);
	for (size_t i = 0; i < command_table_size; i++) {
		const struct command *command = &command_table[i];
		struct span first, second;

		if (split(command, &first, &second) && is_new(i)) {
			(void)fprintf(out, "    %.*s) words=\"", (int)first.len,
				      first.at);
			(void)put_second_words(out, first);
			(void)fputs("\" ;;\n", out);
		}
		(void)fprintf(out, "    '%s'*) options=\"", command->name);
		if (command->options)
			put_options(out, command->options);
		(void)fprintf(out, "\"%s ;;\n", command->operands[0] ? " files=1" : "");
	}
}

void complete_bash(FILE *out)
{
	(void)fputs("# bash completion for vgpu-guest-agent, made by the build\n"
		    "_vgpu_guest_agent()\n{\n"
		    "    local cur=${COMP_WORDS[COMP_CWORD]} "
		    "prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		    "    local word value= skip= command= words= options= files= keys=\"",
		    out);
	put_keys(out);
	/* To bash the "=" of "--kernel=REL" is a word of its own. */
	(void)fputs("\"\n    COMPREPLY=()\n"
		    "    if [ \"$cur\" = = ]; then\n        cur= value=1\n"
		    "    elif [ \"$prev\" = = ]; then\n"
		    "        prev=${COMP_WORDS[COMP_CWORD-2]} value=1\n    fi\n"
		    "    case $prev in\n",
		    out);
	put_bash_values(out);
	(void)fputs("    esac\n"
		    "    [ -z \"$value\" ] || return\n"
		    "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
		    "        [ \"$word\" != = ] || { skip=1; continue; }\n"
		    "        [ -z \"$skip\" ] || { skip=; continue; }\n"
		    "        case $word in\n        ''",
		    out);
	put_takers(out);
	(void)fputs(") skip=1 ;;\n        -*) ;;\n"
		    "        *) command=\"$command${command:+ }$word\" ;;\n"
		    "        esac\n    done\n    [ -z \"$skip\" ] || return\n"
		    "    case $command in\n",
		    out);
	put_bash_commands(out);
	(void)fputs("    esac\n    case $cur in\n    -*) words=\"", out);
	put_options(out, 0);
	(void)fputs("$options\" ;;\n"
		    "    *) [ -z \"$files\" ] || { " FILES "; return; } ;;\n"
		    "    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
		    "complete -F _vgpu_guest_agent vgpu-guest-agent\n",
		    out);
}

/* In single quotes, inside which the shells of this file all do the same. */
static void put_quoted(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			(void)fputs("'\\''", out);
		else
			(void)fputc(*text, out);
	}
}

/* zsh reads brackets and colons of a description itself. */
static void put_zsh_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("[]:\\", *text))
			(void)fputc('\\', out);
		if (*text == '\'')
			(void)fputs("'\\''", out);
		else
			(void)fputc(*text, out);
	}
}

static void put_zsh_options(FILE *out, unsigned mask)
{
	for (size_t i = 0; i < args_count(); i++) {
		const struct args_entry *entry = args_at(i);
		const struct value *value = value_of(entry);

		if (mask ? !(entry->option & mask) : entry->option != 0)
			continue;
		(void)fprintf(out, "        \"*\"'--%s%s[", entry->name,
			      entry->value ? "=" : "");
		put_zsh_text(out, entry->help);
		(void)fputs("]'", out);
		if (value)
			(void)fprintf(out, "\"%s\"", value->zsh);
		(void)fputs(" \\\n", out);
	}
}

static void put_zsh_commands(FILE *out)
{
	for (size_t i = 0; i < command_table_size; i++) {
		const struct command *command = &command_table[i];

		(void)fprintf(out, "    '%s'*)\n        _arguments -S \\\n",
			      command->name);
		put_zsh_options(out, 0);
		if (command->options)
			put_zsh_options(out, command->options);
		(void)fprintf(out, "        '*:argument:%s' ;;\n",
			      command->operands[0] ? "_files" : "");
	}
}

static void put_zsh_lists(FILE *out)
{
	(void)fputs("    commands=(\n", out);
	for (size_t i = 0; i < command_table_size; i++) {
		struct span first, second;
		bool two = split(&command_table[i], &first, &second);

		if (!is_new(i))
			continue;
		(void)fputs("        '", out);
		put_span(out, first);
		(void)fputc(':', out);
		put_zsh_text(out, two ? "" : command_table[i].summary);
		(void)fputs("'\n", out);
	}
	(void)fputs("    )\n", out);
}

void complete_zsh(FILE *out)
{
	(void)fputs("#compdef vgpu-guest-agent\n"
		    "# zsh completion for vgpu-guest-agent, made by the build\n"
		    "_vgpu_guest_agent() {\n"
		    "    local -a commands keys plain\n    local word skip command=\n"
		    "    keys=(",
		    out);
	put_keys(out);
	(void)fputs(")\n", out);
	put_zsh_lists(out);
	(void)fputs("    for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
		    "        [[ -z $skip ]] || { skip=; continue }\n"
		    "        case $word in\n        ''",
		    out);
	put_takers(out);
	(void)fputs(") skip=1 ;;\n        -*) ;;\n"
		    "        *) command=\"$command${command:+ }$word\" ;;\n"
		    "        esac\n    done\n    case $command in\n",
		    out);
	put_zsh_commands(out);
	for (size_t i = 0; i < command_table_size; i++) {
		struct span first, second;

		if (!split(&command_table[i], &first, &second) || !is_new(i))
			continue;
		(void)fprintf(out, "    %.*s) plain=(", (int)first.len, first.at);
		(void)put_second_words(out, first);
		(void)fputs("); compadd -a plain ;;\n", out);
	}
	(void)fputs("    *)\n        if [[ $PREFIX == -* || -n $skip ]]; then\n"
		    "            _arguments -S \\\n",
		    out);
	put_zsh_options(out, 0);
	(void)fputs(
		"            '*:argument:'\n"
		"        else\n            _describe command commands\n        fi ;;\n"
		"    esac\n}\n_vgpu_guest_agent \"$@\"\n",
		out);
}

static void put_fish_options(FILE *out, const char *condition, unsigned mask)
{
	for (size_t i = 0; i < args_count(); i++) {
		const struct args_entry *entry = args_at(i);
		const struct value *value = value_of(entry);

		if (mask ? !(entry->option & mask) : entry->option != 0)
			continue;
		(void)fprintf(out, "complete -c vgpu-guest-agent%s -l %s%s%s -d '",
			      condition, entry->name, value ? " " : "",
			      value ? value->fish : "");
		put_quoted(out, entry->help);
		(void)fputs("'\n", out);
	}
}

static void put_fish_command(FILE *out, const struct command *command)
{
	char condition[256];
	struct span first, second;
	bool two = split(command, &first, &second);

	if (two)
		(void)fprintf(out,
			      "complete -c vgpu-guest-agent -n "
			      "'__fish_seen_subcommand_from %.*s' -a %.*s -d '",
			      (int)first.len, first.at, (int)second.len, second.at);
	else
		(void)fprintf(out,
			      "complete -c vgpu-guest-agent -n __fish_use_subcommand "
			      "-a %s -d '",
			      command->name);
	put_quoted(out, command->summary);
	(void)fputs("'\n", out);

	(void)snprintf(condition, sizeof(condition),
		       " -n '__fish_seen_subcommand_from %.*s%s%.*s'", (int)first.len,
		       first.at, two ? "; and __fish_seen_subcommand_from " : "",
		       two ? (int)second.len : 0, second.at);
	if (command->options)
		put_fish_options(out, condition, command->options);
	if (command->operands[0])
		(void)fprintf(out, "complete -c vgpu-guest-agent%s -F\n", condition);
}

void complete_fish(FILE *out)
{
	(void)fputs("# fish completion for vgpu-guest-agent, made by the build\n"
		    "set -g __vgpu_keys '",
		    out);
	put_keys(out);
	(void)fputs("'\ncomplete -c vgpu-guest-agent -f\n", out);
	put_fish_options(out, "", 0);
	for (size_t i = 0; i < command_table_size; i++) {
		struct span first, second;

		if (split(&command_table[i], &first, &second) && is_new(i))
			(void)fprintf(out,
				      "complete -c vgpu-guest-agent -n "
				      "__fish_use_subcommand -a %.*s\n",
				      (int)first.len, first.at);
		put_fish_command(out, &command_table[i]);
	}
}
