/* The one table of options. Each row is a setting of one scope; parser, --help, manual page, completion, environment, YAML reader
 * and `config example` walk the rows. Drivers and storages own rows too, with offsets into their params struct. */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include "core/secret.h"
#include "util/buf.h"

enum setting_scope { SCOPE_GLOBAL, SCOPE_STORE, SCOPE_SOURCE, SCOPE_COMMAND };
enum setting_type {
	SET_BOOL,     /* bool */
	SET_INT,      /* int64_t, with min and max */
	SET_COUNT,    /* uint32_t, with min and max */
	SET_SIZE,     /* uint64_t bytes, with min and max */
	SET_DURATION, /* struct duration */
	SET_TIME,     /* struct instant */
	SET_STRING,   /* char *, owned, NULL where unset */
	SET_SECRET,   /* struct secret; the keys x_file and x_command exist beside x; never shown */
	SET_LIST,     /* struct strlist; flag repeatable; YAML list, scalar, or map of scalars ("k=v" each); split at blanks in the
			 environment */
	SET_CHOICE,   /* int, index into choices */
	SET_ROOM,     /* struct room: bytes or percent, "2GiB" or "10%" */
};
struct room {
	uint64_t bytes;
	unsigned percent;
};

/* Commands, as bits of setting.commands. */
enum command_bit {
	CMD_BACKUP = 1u << 0,
	CMD_LIST = 1u << 1,
	CMD_RESTORE = 1u << 2,
	CMD_EXCHANGE = 1u << 3,
	CMD_CHECK = 1u << 4,
	CMD_VERIFY = 1u << 5,
	CMD_PRUNE = 1u << 6,
	CMD_PIN = 1u << 7,
	CMD_UNPIN = 1u << 8,
	CMD_ACCEPT = 1u << 9,
	CMD_UNLOCK = 1u << 10,
	CMD_STATUS = 1u << 11,
	CMD_CONFIG = 1u << 12,
	CMD_COMPLETION = 1u << 13,
	CMD_COPY = 1u << 14,
	CMD_KEY = 1u << 15,
	CMD_ANY = 0xffffffffu,
};

struct setting {
	enum setting_scope scope;
	const char *key;   /* YAML key, "chunk_size"; "keep.daily" is nested; NULL: flag only */
	const char *flag;  /* "chunk-size", without dashes; NULL: no flag */
	const char *env;   /* "DRTOOL_CHUNK_SIZE"; NULL: none. Only global and store scope have one. */
	enum setting_type type;
	const char *def;   /* default as text, parsed like a value; NULL: unset */
	uint32_t commands; /* which take the flag */
	bool secret;       /* never shown; SET_SECRET is so without it */
	const char *arg;   /* "SIZE", shown in help; NULL for a bool */
	const char *help;  /* one line, no final dot */
	const char *const *choices; /* SET_CHOICE: NULL-terminated */
	int64_t min, max;  /* both 0: no bounds */
	size_t offset;     /* into the params struct of the row's owner */
};
/* Ends an array of rows. */
#define SETTING_END {.key = NULL, .flag = NULL, .help = NULL}

/* Rows that belong together: those of the core, or those of one driver or storage. One array of groups, made in ops/rows.h, is what
 * everything that walks settings is given. */
struct setting_group {
	const char *owner;           /* "postgres"; NULL: the core's, which hold for every URL */
	const char *const *schemes;  /* URL schemes of the owner, NULL-terminated; NULL with owner NULL */
	enum setting_scope scope;    /* of an owner: SCOPE_SOURCE of drivers, SCOPE_STORE of storages */
	const struct setting *rows;  /* ended by SETTING_END */
};
static inline bool setting_is_end(const struct setting *row) { return !row->help; }
/* Whether a group's rows hold for a store or source of this URL (NULL: any URL may come, all do). */
bool setting_group_fits(const struct setting_group *g, const char *url);

/* How the text of a secret is meant. */
enum secret_form { SECRET_VALUE, SECRET_FILE, SECRET_COMMAND };
/* The row of a YAML key; for "x_file" and "x_command" of a SET_SECRET row x, that row and its form (may be NULL). NULL: no such
 * key. */
const struct setting *setting_find(const struct setting *rows, enum setting_scope scope, const char *key, enum secret_form *form);
const char *setting_name(const struct setting *row); /* key, else flag */

/* Parses one value into the field at row->offset of params (replacing it; SET_LIST appends). ST_CONFIG with the row's name in the
 * text. */
enum status setting_parse(const struct setting *row, const char *value, void *params, struct error *err) MUST_CHECK;
/* As setting_parse, for a form of a secret (else SECRET_VALUE) and without the row's name in the text: the caller has a better one.
 */
enum status setting_store(const struct setting *row, enum secret_form form, const char *value, void *params, struct error *err)
	MUST_CHECK;
/* Only whether it could be parsed. */
enum status setting_check(const struct setting *row, const char *value, struct error *err) MUST_CHECK;
/* Fills all rows' defaults into zeroed params. setting_parse and this serve rows of any scope: pass an array whose rows share one
 * params. */
enum status settings_defaults(const struct setting *rows, void *params, struct error *err) MUST_CHECK;
void settings_release(const struct setting *rows, void *params); /* frees strings, lists and secrets, and zeroes those fields */
void setting_clear(const struct setting *row, void *params);     /* the same for one field; numbers stay */
/* The nearest name for "did you mean", or NULL where none is near. */
const char *nearest_name(const char *wrong, const char *const *names, size_t n);

#endif
