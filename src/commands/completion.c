/* Completion scripts of bash, zsh and fish, from the same tables as --help. */
#include "commands/command.h"

static void put_name(void *ctx, const struct setting *row)
{
	buf_printf(ctx, " --%s%s", row->flag, flag_optional_value(row) ? "=" : "");
}

static void put_words(struct buf *to, const struct command *c)
{
	for (const char *const *w = c->words; w && *w; w++)
		buf_printf(to, " %s", *w);
}

static void put_commands(struct buf *to)
{
	for (const struct command *const *c = commands; *c; c++)
		buf_printf(to, "%s%s", c == commands ? "" : " ", (*c)->name);
}

/* The values of a flag with choices, as a case of a shell. */
struct choices {
	struct buf *to;
	struct strlist seen;
};

static void put_choices(void *ctx, const struct setting *row)
{
	struct choices *c = ctx;

	if (row->type != SET_CHOICE || strlist_has(&c->seen, row->flag))
		return;
	strlist_add(&c->seen, row->flag);
	buf_printf(c->to, "\t--%s) words=\"", row->flag);
	for (size_t i = 0; row->choices[i]; i++)
		buf_printf(c->to, "%s%s", i ? " " : "", row->choices[i]);
	buf_puts(c->to, "\" ;;\n");
}

/* The part that bash and zsh share: a function that sets `words` for the command and the word before. */
static void put_shell_words(const struct config_schema *s, struct buf *to)
{
	struct choices choices = {.to = to};

	buf_puts(to, "_drtool_words() {\n\tlocal command=$1 previous=$2\n\twords=\n\tcase $previous in\n");
	for (const struct command *const *c = commands; *c; c++)
		flags_each(s, *c, put_choices, &choices);
	strlist_release(&choices.seen);
	buf_puts(to, "\tesac\n\t[ -z \"$words\" ] || return 0\n\tcase $command in\n");
	for (const struct command *const *c = commands; *c; c++) {
		buf_printf(to, "\t%s) words=\"", (*c)->name);
		put_words(to, *c);
		flags_each(s, *c, put_name, to);
		buf_puts(to, " --help\" ;;\n");
	}
	buf_puts(to, "\t*) words=\"");
	put_commands(to);
	flags_each(s, NULL, put_name, to);
	buf_puts(to, " --help --version\" ;;\n\tesac\n}\n");
}

static void bash_script(const struct config_schema *s, struct buf *to)
{
	buf_puts(to, "# Completion of drtool for bash: drtool completion bash > /etc/bash_completion.d/drtool\n");
	put_shell_words(s, to);
	buf_puts(to, "_drtool() {\n\tlocal words command= i\n\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase \" ");
	put_commands(to);
	buf_puts(to, " \" in *\" ${COMP_WORDS[i]} \"*) command=${COMP_WORDS[i]}; break ;; esac\n\tdone\n"
		     "\t_drtool_words \"$command\" \"${COMP_WORDS[COMP_CWORD - 1]}\"\n"
		     "\tCOMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
		     "complete -o default -F _drtool drtool\n");
}

static void zsh_script(const struct config_schema *s, struct buf *to)
{
	buf_puts(to, "#compdef drtool\n# Completion of drtool for zsh: drtool completion zsh > \"${fpath[1]}/_drtool\"\n");
	put_shell_words(s, to);
	buf_puts(to, "_drtool() {\n\tlocal typed=(\"${words[@]}\") at=$CURRENT words= command= i\n"
		     "\tfor ((i = 2; i < at; i++)); do\n\t\tcase \" ");
	put_commands(to);
	buf_puts(to, " \" in *\" ${typed[i]} \"*) command=${typed[i]}; break ;; esac\n\tdone\n"
		     "\t_drtool_words \"$command\" \"${typed[at - 1]}\"\n\tcompadd -- ${=words}\n\t_files\n}\n"
		     "[ \"$funcstack[1]\" = _drtool ] && _drtool \"$@\" || compdef _drtool drtool\n");
}

struct fish {
	struct buf *to;
	const struct command *command;
};

static void fish_flag(void *ctx, const struct setting *row)
{
	struct fish *f = ctx;

	buf_printf(f->to, "complete -c drtool -n '__fish_seen_subcommand_from %s' -l %s%s -d '", f->command->name, row->flag,
		   flag_takes_value(row) ? " -r" : "");
	for (const char *s = row->help; *s; s++)
		buf_printf(f->to, "%s%c", *s == '\'' ? "\\" : "", *s);
	buf_puts(f->to, "'");
	if (row->type == SET_CHOICE) {
		buf_puts(f->to, " -f -a '");
		for (size_t i = 0; row->choices[i]; i++)
			buf_printf(f->to, "%s%s", i ? " " : "", row->choices[i]);
		buf_puts(f->to, "'");
	}
	buf_putc(f->to, '\n');
}

static void fish_script(const struct config_schema *s, struct buf *to)
{
	buf_puts(to, "# Completion of drtool for fish: drtool completion fish > ~/.config/fish/completions/drtool.fish\n");
	for (const struct command *const *c = commands; *c; c++) {
		struct fish f = {to, *c};

		buf_printf(to, "complete -c drtool -n __fish_use_subcommand -f -a %s -d '%s'\n", (*c)->name, (*c)->summary);
		if ((*c)->words) {
			buf_printf(to, "complete -c drtool -n '__fish_seen_subcommand_from %s' -f -a '", (*c)->name);
			put_words(to, *c);
			buf_puts(to, "'\n");
		}
		flags_each(s, *c, fish_flag, &f);
	}
	buf_puts(to, "complete -c drtool -s h -l help -d 'help'\n"
		     "complete -c drtool -l version -d 'version, databases and libraries'\n");
}

enum status completion_script(const struct config_schema *s, const char *shell, struct buf *to, struct error *err)
{
	static const struct {
		const char *name;
		void (*make)(const struct config_schema *s, struct buf *to);
	} shells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

	for (size_t i = 0; i < ARRAY_LEN(shells); i++)
		if (!strcmp(shells[i].name, shell)) {
			shells[i].make(s, to);
			return ST_OK;
		}
	return error_set(err, ST_USAGE, "no completion for \"%s\"; there is bash, zsh and fish", shell);
}
