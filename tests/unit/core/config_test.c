#include "core/config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/test.h"
#include "util/fs.h"

struct global {
	int64_t jobs;
	uint64_t mem_limit;
	char *name;
	struct secret token;
	bool dry_run;
};
struct source {
	char *url, *user;
	struct secret password;
	struct strlist databases, tags;
	struct duration max_lag;
	uint32_t keep_last, keep_daily;
};
struct special {
	uint64_t split_above;
};
struct store {
	struct room min_free;
};

#define ROW(type_, member, name) .key = name, .offset = offsetof(struct type_, member), .help = "help"
static const struct setting global_rows_[] = {
	{ROW(global, jobs, "jobs"), .scope = SCOPE_GLOBAL, .type = SET_INT, .def = "2", .env = "DRTOOL_T_JOBS", .flag = "jobs",
	 .min = 1, .max = 64},
	{ROW(global, mem_limit, "mem_limit"), .scope = SCOPE_GLOBAL, .type = SET_SIZE, .env = "DRTOOL_T_MEM"},
	{ROW(global, name, "name"), .scope = SCOPE_GLOBAL, .type = SET_STRING},
	{ROW(global, token, "token"), .scope = SCOPE_GLOBAL, .type = SET_SECRET, .env = "DRTOOL_T_TOKEN"},
	{ROW(global, dry_run, NULL), .scope = SCOPE_COMMAND, .type = SET_BOOL, .flag = "dry-run"},
	SETTING_END,
};
static const struct setting source_rows_[] = {
	{ROW(source, url, "url"), .scope = SCOPE_SOURCE, .type = SET_STRING},
	{ROW(source, user, "user"), .scope = SCOPE_SOURCE, .type = SET_STRING},
	{ROW(source, password, "password"), .scope = SCOPE_SOURCE, .type = SET_SECRET},
	{ROW(source, databases, "databases"), .scope = SCOPE_SOURCE, .type = SET_LIST},
	{ROW(source, tags, "tags"), .scope = SCOPE_SOURCE, .type = SET_LIST},
	{ROW(source, max_lag, "max_lag"), .scope = SCOPE_SOURCE, .type = SET_DURATION},
	{ROW(source, keep_last, "keep.last"), .scope = SCOPE_SOURCE, .type = SET_COUNT, .flag = "keep-last"},
	{ROW(source, keep_daily, "keep.daily"), .scope = SCOPE_SOURCE, .type = SET_COUNT},
	SETTING_END,
};
static const struct setting store_url_[] = {{ROW(source, url, "url"), .scope = SCOPE_STORE, .type = SET_STRING}, SETTING_END};
static const struct setting special_[] = {{ROW(special, split_above, "split_above"), .scope = SCOPE_SOURCE, .type = SET_SIZE},
					  SETTING_END};
static const struct setting local_[] = {
	{ROW(store, min_free, "min_free"), .scope = SCOPE_STORE, .type = SET_ROOM, .env = "DRTOOL_T_FREE"}, SETTING_END};
static const char *const pg_schemes[] = {"postgres", "postgresql", NULL}, *const my_schemes[] = {"mysql", NULL},
			 *const file_schemes[] = {"file", NULL};
static const struct setting none[] = {SETTING_END};
static const struct setting_group groups[] = {
	{.rows = global_rows_},
	{.rows = source_rows_},
	{.rows = store_url_},
	{"postgres", pg_schemes, SCOPE_SOURCE, special_},
	{"mysql", my_schemes, SCOPE_SOURCE, none},
	{"local", file_schemes, SCOPE_STORE, local_},
};
static const struct config_schema schema = {groups, ARRAY_LEN(groups), NULL};

static enum status read_text(const char *text, struct config *c, struct error *err)
{
	*c = (struct config)CONFIG_INIT;
	return config_read(&schema, "t.yaml", text, strlen(text), c, err);
}

/* The text is refused with exactly this beginning. */
static void refused(const char *text, const char *message)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;

	CHECK_INT(read_text(text, &c, &err), ST_CONFIG);
	if (strncmp(error_text(&err), message, strlen(message)))
		CHECK_STR(error_text(&err), message);
}

TEST("config: stores, sources and global values are read with the place of each")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;
	struct source s = {0};
	struct special p = {0};
	struct store st = {0};
	struct global g = {0};

	CHECK_OK(
		read_text(
			"jobs: 8\nstores:\n  local: {url: \"file:///b\", min_free: 10%}\nsources:\n"
			"  shop: {url: \"postgres://u@db/shop\", databases: [a, \"b*\"], keep: {last: 3}, "
			   "split_above: 1g, tags: {team: x, env: prod}}\n",
			&c, &err),
		err);
	CHECK_INT(c.stores, 1);
	CHECK_INT(c.sources, 1);
	CHECK_STR(c.source[0].url, "postgres://u@db/shop");
	CHECK_OK(config_fill(&c, SCOPE_GLOBAL, NULL, global_rows_, &g, &err), err);
	CHECK_INT(g.jobs, 8);
	CHECK_OK(config_fill(&c, SCOPE_SOURCE, config_source(&c, "shop"), source_rows_, &s, &err), err);
	CHECK_INT(s.databases.len, 2);
	CHECK_STR(s.databases.item[1], "b*");
	CHECK_STR(s.tags.item[0], "team=x");
	CHECK_INT(s.keep_last, 3);
	CHECK_OK(config_fill(&c, SCOPE_SOURCE, config_source(&c, "shop"), special_, &p, &err), err);
	CHECK_INT(p.split_above, 1 << 30);
	CHECK_OK(config_fill(&c, SCOPE_STORE, config_store(&c, "local"), local_, &st, &err), err);
	CHECK_INT(st.min_free.percent, 10);
	CHECK_STR(config_where(&c, NULL, &global_rows_[0])->origin, "t.yaml:1:7");
	CHECK_STR(config_where(&c, config_source(&c, "shop"), setting_find(source_rows_, SCOPE_SOURCE, "keep.last", NULL))->origin,
		  "t.yaml:5:74");
	settings_release(global_rows_, &g);
	settings_release(source_rows_, &s);
}

TEST("config: the command of a secret may be a list of words")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;
	struct global g = {0};

	CHECK_OK(read_text("token_command: [cat, \"a \\\"b\\\\\"]\n", &c, &err), err);
	CHECK_OK(config_fill(&c, SCOPE_GLOBAL, NULL, global_rows_, &g, &err), err);
	CHECK_STR(g.token.command, "\"cat\" \"a \\\"b\\\\\"");
	settings_release(global_rows_, &g);
	refused("token: [a]\n", "t.yaml:1:8: a text is expected here, not a list");
}

TEST("config: a mistake names file, line and column, and what was meant")
{
	refused("jbos: 3\n", "t.yaml:1:1: unknown key \"jbos\" in the configuration; did you mean \"jobs\"?");
	refused("jobs: 3\nsources:\n  shop:\n    url: postgres://h\n    databse: [a]\n",
		"t.yaml:5:5: unknown key \"databse\" in the source shop; did you mean \"databases\"?");
	refused("sources:\n  shop: {url: \"postgres://h\", keep: {dayly: 3}}\n",
		"t.yaml:2:38: unknown key \"keep.dayly\" in the source shop; did you mean \"keep.daily\"?");
	refused("playbooks: {}\n", "t.yaml:1:1: unknown key \"playbooks\" in the configuration");
	refused("jobs: many\n", "t.yaml:1:7: jobs: not a number: \"many\"");
	refused("jobs: 65\n", "t.yaml:1:7: jobs: 65 is not between 1 and 64");
	refused("jobs: [1]\n", "t.yaml:1:7: a text is expected here, not a list");
	refused("jobs:\n", "t.yaml:1:6: the value is empty");
	refused("jobs: 1\njobs: 2\n", "t.yaml:2:1: the key \"jobs\" is here a second time; the first is in line 1");
	refused("sources: [a]\n", "t.yaml:1:10: sources: a map is expected here");
	refused("sources:\n  shop: {user: x}\n", "t.yaml:2:3: the source shop has no url");
	refused("sources:\n  shop: {urll: x}\n", "t.yaml:2:10: unknown key \"urll\" in the source shop; did you mean \"url\"?");
	refused("sources:\n  Shop: {url: \"postgres://h\"}\n", "t.yaml:2:3: \"Shop\" cannot be the name of a source");
	refused("sources:\n  shop: {url: \"redis://h\"}\n",
		"t.yaml:2:15: url: no source is of the kind \"redis\"; there are postgres://, mysql://");
	refused("stores:\n  s: {url: \"postgres://h\"}\n",
		"t.yaml:2:12: url: no store is of the kind \"postgres\"; there are file://");
	refused("sources:\n  shop: {url: \"mysql://h\", split_above: 3}\n",
		"t.yaml:2:28: unknown key \"split_above\" in the source shop");
	refused("sources:\n  shop: {url: \"postgres://h\", password: a, password_file: b}\n",
		"t.yaml:2:44: both \"password\" and \"password_file\" are set");
	refused("sources:\n  shop: {url: \"postgres://h\", keep: 3}\n", "t.yaml:2:37: keep: a map is expected here");
	refused("defaults: {url: \"postgres://h\"}\n", "t.yaml:1:12: a url belongs to one source");
	refused("name: ${NO_SUCH_VARIABLE_HERE}\n", "t.yaml:1:7: the variable NO_SUCH_VARIABLE_HERE is not set");
	refused("a: [\n", "t.yaml:2:1: ");
	refused("jobs: 1\n\tx: 2\n", "t.yaml:2:1: ");
	refused("jobs: 1\n---\njobs: 2\n", "t.yaml:3:1: a second document begins here");
	refused("[1, 2]\n", "t.yaml:1:1: configuration: a map is expected here");
	refused("? [a]\n: b\n", "t.yaml:1:3: a key must be a plain text");
	refused("name: \"a\\0b\"\n", "t.yaml:1:7: the text holds a zero byte");
}

TEST("config: empty files and comments are a configuration without values")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	static const char *const texts[] = {"", "# nothing\n", "---\n", "{}\n", "~\n", "sources: {}\n"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(config_release) struct config c = CONFIG_INIT;

		CHECK_OK(read_text(texts[i], &c, &err), err);
		CHECK_INT(c.sources, 0);
	}
}

TEST("config: aliases work, and those that would fill the memory are refused")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;
	CLEANUP(buf_release) struct buf bomb = BUF_INIT, deep = BUF_INIT;
	struct source s = {0};

	CHECK_OK(read_text("sources:\n  a: {url: \"postgres://h\", keep: &k {last: 4}}\n  b: {url: \"postgres://i\", keep: *k}\n",
			   &c, &err),
		 err);
	CHECK_OK(config_fill(&c, SCOPE_SOURCE, config_source(&c, "b"), source_rows_, &s, &err), err);
	CHECK_INT(s.keep_last, 4);
	settings_release(source_rows_, &s);
	buf_puts(&bomb, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 9; i++) {
		buf_printf(&bomb, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_printf(&bomb, "%s*a%d", k ? ", " : "", i - 1);
		buf_puts(&bomb, "]\n");
	}
	refused(buf_str(&bomb), "t.yaml:1:34: too many values");
	for (int i = 0; i < 40; i++)
		buf_puts(&deep, "[");
	for (int i = 0; i < 40; i++)
		buf_puts(&deep, "]");
	CLEANUP(cstr_release) char *nested = xasprintf("a: %s\n", buf_str(&deep));

	refused(nested, "t.yaml:1:20: nested too deeply");
	refused("a: &a [*a]\n", "t.yaml:1:4: nested too deeply");
}

TEST("config: defaults hold for each source that has the key and says nothing itself")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;
	struct source a = {0}, b = {0};
	struct special p = {0};

	CHECK_OK(
		read_text(
			"sources:\n  a: {url: \"postgres://h\", databases: [], keep: {daily: 1}, password_file: /f}\n"
			   "  b: {url: \"mysql://h\"}\n"
			"defaults: {databases: [x], keep: {last: 2, daily: 9}, password: p, split_above: 7}\n",
			&c, &err),
		err);
	CHECK_OK(config_fill(&c, SCOPE_SOURCE, config_source(&c, "a"), source_rows_, &a, &err), err);
	CHECK_INT(a.databases.len, 0);
	CHECK_INT(a.keep_daily, 1);
	CHECK_INT(a.keep_last, 2);
	CHECK_STR(a.password.file, "/f");
	CHECK(!a.password.value);
	CHECK_OK(config_fill(&c, SCOPE_SOURCE, config_source(&c, "a"), special_, &p, &err), err);
	CHECK_INT(p.split_above, 7);
	CHECK_OK(config_fill(&c, SCOPE_SOURCE, config_source(&c, "b"), source_rows_, &b, &err), err);
	CHECK_STR(b.databases.item[0], "x");
	CHECK_STR(b.password.value, "p");
	settings_release(source_rows_, &a);
	settings_release(source_rows_, &b);
}

TEST("config: the flag wins over the environment, that over the file, that over the default")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;
	struct global g = {0};

	CHECK_OK(config_fill(&c, SCOPE_GLOBAL, NULL, global_rows_, &g, &err), err);
	CHECK_INT(g.jobs, 2);
	CHECK_OK(read_text("jobs: 3\n", &c, &err), err);
	CHECK_OK(config_fill(&c, SCOPE_GLOBAL, NULL, global_rows_, &g, &err), err);
	CHECK_INT(g.jobs, 3);
	setenv("DRTOOL_T_JOBS", "4", 1);
	setenv("DRTOOL_T_MEM", "", 1);
	CHECK_OK(config_read_env(&schema, &c, &err), err);
	CHECK_OK(config_fill(&c, SCOPE_GLOBAL, NULL, global_rows_, &g, &err), err);
	CHECK_INT(g.jobs, 4);
	CHECK_INT(g.mem_limit, 0);
	CHECK_STR(config_where(&c, NULL, &global_rows_[0])->origin, "$DRTOOL_T_JOBS");
	config_set(&c.flags, SCOPE_GLOBAL, "jobs", "5", false);
	config_set(&c.flags, SCOPE_COMMAND, "dry-run", "true", false);
	CHECK_OK(config_fill(&c, SCOPE_GLOBAL, NULL, global_rows_, &g, &err), err);
	CHECK_OK(config_fill(&c, SCOPE_COMMAND, NULL, global_rows_, &g, &err), err);
	CHECK_INT(g.jobs, 5);
	CHECK(g.dry_run);
	setenv("DRTOOL_T_JOBS", "x", 1);
	CHECK_ERR(config_read_env(&schema, &c, &err), err, ST_CONFIG, "$DRTOOL_T_JOBS: not a number");
	unsetenv("DRTOOL_T_JOBS");
	unsetenv("DRTOOL_T_MEM");
}

TEST("config: secrets and rows of stores come from the environment too")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;
	struct global g = {0};
	struct store st = {0};

	CHECK_OK(read_text("token: a\nstores: {s: {url: \"file:///b\", min_free: 1%}}\n", &c, &err), err);
	setenv("DRTOOL_T_TOKEN_FILE", "/run/t", 1);
	setenv("DRTOOL_T_FREE", "7%", 1);
	CHECK_OK(config_read_env(&schema, &c, &err), err);
	CHECK_OK(config_fill(&c, SCOPE_GLOBAL, NULL, global_rows_, &g, &err), err);
	CHECK_STR(g.token.file, "/run/t");
	CHECK(!g.token.value);
	CHECK_OK(config_fill(&c, SCOPE_STORE, config_store(&c, "s"), local_, &st, &err), err);
	CHECK_INT(st.min_free.percent, 7);
	unsetenv("DRTOOL_T_TOKEN_FILE");
	unsetenv("DRTOOL_T_FREE");
	settings_release(global_rows_, &g);
}

static char *put(const char *name, mode_t mode, const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	char *path = path_join(test_dir(), name);

	CHECK_OK(fs_write_file(path, mode, text, strlen(text), &err), err);
	CHECK(!chmod(path, mode));
	return path;
}

TEST("config: env_file beside the file gives variables, those of the process win")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;
	CLEANUP(cstr_release) char *path = put("drtool.yaml", 0600, "name: ${T_NAME}-${T_OUTER}\nenv_file: t.env\n");

	free(put("t.env", 0600, "T_NAME=\"x\"\nT_OUTER=inner\n"));
	setenv("T_OUTER", "outer", 1);
	CHECK_OK(config_load(&schema, path, &c, &err), err);
	CHECK_STR(config_get(&c.global, SCOPE_GLOBAL, "name")->text.item[0], "x-outer");
	CHECK_STR(config_env(&c, "T_NAME"), "x");
	unsetenv("T_OUTER");
	free(put("t.env", 0600, "T_NAME\nwrong line\n"));
	config_release(&c);
	CHECK_INT(config_load(&schema, path, &c, &err), ST_CONFIG);
	CHECK_HAS(error_text(&err), "drtool.yaml:2:11: env_file: ");
	CHECK_HAS(error_text(&err), "t.env:2: no '='");
}

TEST("config: a file or folder that others may write is refused, one that is not there is an error")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;
	CLEANUP(cstr_release) char *path = put("drtool.yaml", 0602, "jobs: 1\n");

	CHECK_ERR(config_load(&schema, path, &c, &err), err, ST_REFUSED, "may be written by everybody");
	config_release(&c);
	CHECK(!chmod(path, 0644));
	CHECK(!chmod(test_dir(), 0707));
	CHECK_ERR(config_load(&schema, path, &c, &err), err, ST_REFUSED, "may be written by everybody");
	config_release(&c);
	CHECK(!chmod(test_dir(), 0700));
	CHECK_OK(config_load(&schema, path, &c, &err), err);
	config_release(&c);
	CHECK_ERR(config_load(&schema, "/nowhere/drtool.yaml", &c, &err), err, ST_CONFIG, "/nowhere/drtool.yaml");
}
