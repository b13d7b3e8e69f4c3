/* The commands: one visible array; each is one thin file that makes a request of its arguments and text of the result.
 * Parser, help, manual pages and completion walk this array and the rows of settings, and know nothing else. */
#ifndef COMMANDS_COMMAND_H
#define COMMANDS_COMMAND_H

#include "core/config.h"
#include "ops/bind.h"
#include "ops/ops.h"

/* Flags that belong to commands and to no configuration; rows in flags.c. */
struct command_flags {
	bool all, prune, re_encrypt, new_identity, dry_run, json, in_place, data_only, no_owner, clean, compare, salvage, yes, back, drop,
		connect, deleted, protect, form;
	struct strlist to, tags, databases, tables, exclude_tables, renames;
	char *from, *name, *because, *backup, *into, *confirm, *resume, *undelete, *output;
	int users, role;
	struct instant since, until;
	struct duration max_age;
};
/* Of the program itself; rows in flags.c. */
struct program_flags {
	char *config;
	int log_format;
	bool quiet, verbose;
};
extern const struct setting command_rows[];
extern const struct setting program_rows[];

enum command_need {
	NEED_CONFIG = 1u << 0, /* the configuration is read, broken or not there as it may be */
};
struct cli;
struct command {
	const char *name, *summary, *args; /* "SOURCE", "[SOURCE...]"; NULL: none */
	size_t min_args, max_args;
	uint32_t bit;                      /* its flags */
	uint32_t needs;
	const char *about;                 /* a paragraph for --help and the manual */
	const char *examples;              /* lines */
	const char *exits;                 /* lines of its own exit statuses; NULL: those of the table */
	const char *const *words;          /* fixed first arguments, for completion; NULL: none */
	enum status (*run)(struct cli *cli, struct error *err);
};
extern const struct command *const commands[]; /* ended by NULL */
const struct command *command_named(const char *name);
extern const char program_about[];

/* One run of the program. */
struct cli {
	struct run *run;
	const struct command *command;
	struct config_schema schema;
	struct config config;
	struct buf config_text; /* what env.config_text points to */
	struct strlist config_keys; /* and env.config_keys */
	struct command_flags f;
	struct program_flags p;
	struct global_settings global;
	struct strlist arg;
	struct op_env env;
	struct progress progress;
	int exit_code;  /* of status, which speaks Nagios; -1: that of the error */
	bool reported;  /* every failure was printed already */
	bool on_terminal; /* stdin and stderr are: questions can be asked */
};
#define CLI_INIT {.exit_code = -1}
/* Makes the list of settings, the notes and the environment of operations. */
void cli_init(struct cli *cli, struct run *run);
void cli_release(struct cli *cli);
/* The whole program behind main: parses, dispatches, prints the error. Returns the exit status. argv may be overwritten
 * (passwords). */
int cli_main(struct run *run, int argc, char **argv);

/* ---- parse.c ---- */

enum parse_action { PARSE_RUN, PARSE_HELP, PARSE_VERSION, PARSE_MAN };
/* Fills command, arg and config.flags. argv is not changed. */
enum status cli_parse(struct cli *cli, int argc, char *const *argv, enum parse_action *action, struct error *err) MUST_CHECK;
/* Whether a row is a flag of the command (NULL: of the program before any command). */
bool flag_belongs(const struct setting *row, const struct command *c);
bool flag_optional_value(const struct setting *row); /* --resume[=RUN] */
bool flag_takes_value(const struct setting *row);
/* Calls fn for every flag of the command, those of its own first; and for each that every command has. */
void flags_each(const struct config_schema *s, const struct command *c, void (*fn)(void *ctx, const struct setting *row),
		void *ctx);

/* ---- help.c, man.c, completion.c, version.c: texts from the tables ---- */

/* Variables that no row of settings has. */
struct environment_word {
	const char *name, *meaning;
};
extern const struct environment_word environment_words[]; /* ended by a row without name */
void help_program(const struct config_schema *s, struct buf *to);
void help_command(const struct config_schema *s, const struct command *c, struct buf *to);
void man_page(const struct config_schema *s, const struct command *c, struct buf *to); /* c NULL: drtool(1) */
enum status completion_script(const struct config_schema *s, const char *shell, struct buf *to, struct error *err) MUST_CHECK;
void version_text(struct buf *to);
/* A configuration with every key there is, its default and its line of help; the parser accepts it as it is. */
void config_example(const struct config_schema *s, struct buf *to);

/* ---- out.c: stdout and stderr ---- */

void out_text(const char *text);                         /* to stdout, as it is */
void out_printf(const char *fmt, ...) PRINTF_LIKE(1, 2); /* with what a terminal would obey made visible */
void out_json(const json_t *j);
enum status out_flush(struct error *err) MUST_CHECK;           /* a full disk behind a pipe is a failure */
/* One failure, to stderr: text, JSON or with -q one line. source may be NULL. next: what to do where err has no hint; may be NULL.
 */
void out_error(const struct cli *cli, const char *source, const char *next, const struct error *err);
/* Whether a message begins with the thing it is about, so that nothing need be put before it. */
bool out_names(const char *text, const char *what);
/* Notes to stderr, as warnings; then they are gone. */
void out_notes(struct cli *cli);

/* ---- table.c ---- */

/* Columns as wide as they need, one blank row of nothing between; control characters of names are made visible. */
struct table {
	struct strlist cell;
	size_t columns;
	uint32_t right; /* bit i: column i is aligned right */
};
void table_init(struct table *t, size_t columns, const char *const *head);
void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_print(const struct table *t, struct buf *to);
void table_release(struct table *t);
size_t text_width(const char *s); /* columns on a terminal */
char *text_size(uint64_t bytes);
char *text_count(uint64_t n, const char *noun); /* "1 table", "2 tables" */
char *text_duration(struct duration d);

/* ---- pick.c: which sources and stores a command means ---- */

struct picked_sources {
	struct op_source *item;
	size_t n;
};
struct picked_stores {
	struct op_store *item;
	const struct op_store **list; /* pointers to the items, as requests want them */
	size_t n;
};
#define PICKED_INIT {0}
void picked_sources_release(struct picked_sources *p);
void picked_stores_release(struct picked_stores *p);
/* The sources of the arguments; with --all those configured; without both ST_USAGE that names --all, but $DATABASE_URL where none
 * is configured. admin: names that are in no configuration are fine. */
enum status pick_sources(struct cli *cli, bool admin, struct picked_sources *p, struct error *err) MUST_CHECK;
enum status pick_source(struct cli *cli, const char *text, bool admin, struct op_source *s, struct error *err) MUST_CHECK;
/* Where a backup of the source goes: --to, else its `to`, else every configured store, else $DRTOOL_STORE. */
enum status pick_targets(struct cli *cli, const struct op_source *source, struct picked_stores *p, struct error *err) MUST_CHECK;
/* Where to read: --from, else every configured store (those of the source first), else $DRTOOL_STORE. source may be NULL. */
enum status pick_from(struct cli *cli, const struct op_source *source, struct picked_stores *p, struct error *err) MUST_CHECK;
/* The names of all sources that the stores have, in order and once each. */
enum status pick_names(struct cli *cli, const struct picked_stores *from, struct strlist *names, struct error *err) MUST_CHECK;

/* Outcomes of several sources: one is moved to err as it is; several failures are printed each, and err counts them. */
enum status outcomes_to_error(struct cli *cli, struct op_outcomes *o, struct error *err) MUST_CHECK;

#endif
