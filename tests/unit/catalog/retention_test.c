#include "tests/unit/catalog/fixture.h"

/* A catalog in memory. Rows: "id [word]..." with words bad, suspect, proven, pinned, tag=..., kind=..., identity=... */
static void make(struct catalog *c, const char *const *rows, size_t n)
{
	*c = (struct catalog){.backup = xcalloc(n, sizeof *c->backup), .backups = n};
	for (size_t i = 0; i < n; i++) {
		CLEANUP(cstr_release) char *row = xstrdup(rows[i]);
		struct catalog_backup *b = &c->backup[i];
		char *save, *word = strtok_r(row, " ", &save);

		snprintf(b->manifest.id, sizeof b->manifest.id, "%s-0000", word);
		b->manifest.started = backup_id_time(b->manifest.id);
		const char *kind = "dump", *identity = "1";
		while ((word = strtok_r(NULL, " ", &save))) {
			b->bad = b->bad || !strcmp(word, "bad");
			b->suspect = b->suspect || !strcmp(word, "suspect");
			b->level = !strcmp(word, "proven") ? PROOF_READ : b->level;
			kind = !strncmp(word, "kind=", 5) ? word + 5 : kind;
			identity = !strncmp(word, "identity=", 9) ? word + 9 : identity;
			if (!strncmp(word, "tag=", 4))
				strlist_add(&b->manifest.tags, word + 4);
			if (!strcmp(word, "pinned")) {
				b->pin = xcalloc(1, sizeof *b->pin);
				b->pin[b->pins++] = (struct catalog_pin){.because = xstrdup("audit")};
			}
		}
		b->manifest.kind = xstrdup(kind);
		b->manifest.identity = xstrdup(identity);
	}
}

/* What is kept, a line each: the day and hour of the backup and its reasons. */
static void expect_kept(const char *const *rows, size_t n, const struct keep_policy *policy, const char *expected)
{
	CLEANUP(catalog_release) struct catalog c;
	CLEANUP(buf_release) struct buf got = BUF_INIT;
	CLEANUP(cstr_release) char *blocked = NULL;
	struct keep_decision d[64];
	struct instant now;
	struct error err = ERROR_INIT;

	make(&c, rows, n);
	CHECK_OK(instant_parse("2026-11-20T12:00:00Z", &now, &err), err);
	const struct retention_input in = {.catalog = &c, .policy = policy, .now = now};
	retention_decide(&in, d, &blocked);
	for (size_t i = 0; i < n; i++) {
		CHECK_INT(d[i].keep, d[i].reasons.len > 0);
		if (d[i].keep)
			buf_printf(&got, "%.11s:", c.backup[i].manifest.id + 2);
		for (size_t k = 0; k < d[i].reasons.len; k++)
			buf_printf(&got, "%s %s", k ? "," : "", d[i].reasons.item[k]);
		buf_puts(&got, d[i].keep ? "\n" : "");
		keep_decision_release(&d[i]);
	}
	CHECK_STR(buf_str(&got), expected);
}
#define EXPECT_KEPT(rows, policy, expected) expect_kept(rows, ARRAY_LEN(rows), policy, expected)

TEST("without a policy every backup stays")
{
	static const char *const rows[] = {"20200101T020000Z", "20200102T020000Z bad", "20200103T020000Z"};

	EXPECT_KEPT(rows, &(struct keep_policy){0}, "200101T0200: no policy\n200102T0200: no policy\n200103T0200: no policy\n");
}

TEST("keep last counts good backups")
{
	static const char *const rows[] = {"20261101T020000Z", "20261102T020000Z", "20261103T020000Z bad", "20261104T020000Z"};

	EXPECT_KEPT(rows, &(struct keep_policy){.last = 2}, "261102T0200: last 2 of 2\n261104T0200: last 1 of 2, last good\n");
}

TEST("daily keeps the newest of each day that has one, and the oldest while the count lasts")
{
	static const char *const rows[] = {"20261101T010000Z", "20261101T020000Z", "20261105T020000Z", "20261105T230000Z",
					   "20261106T020000Z"};

	EXPECT_KEPT(rows, &(struct keep_policy){.daily = 2},
		    "261105T2300: daily 2026-11-05\n261106T0200: daily 2026-11-06, last good\n");
	EXPECT_KEPT(rows, &(struct keep_policy){.daily = 3},
		    "261101T0200: daily 2026-11-01\n261105T2300: daily 2026-11-05\n261106T0200: daily 2026-11-06, last good\n");
	EXPECT_KEPT(rows, &(struct keep_policy){.daily = 9},
		    "261101T0100: oldest daily 2026-11-01\n261101T0200: daily 2026-11-01\n261105T2300: daily 2026-11-05\n"
		    "261106T0200: daily 2026-11-06, last good\n");
}

TEST("hours, ISO weeks, months and years have their borders in UTC")
{
	static const char *const rows[] = {"20251228T230000Z", "20251229T000000Z", "20251231T235959Z", "20260101T000000Z",
					   "20260104T235900Z", "20260105T000000Z"};

	EXPECT_KEPT(rows, &(struct keep_policy){.weekly = 2},
		    "260104T2359: weekly 2026-W01\n260105T0000: weekly 2026-W02, last good\n");
	EXPECT_KEPT(rows, (&(struct keep_policy){.monthly = 1, .yearly = 2}),
		    "251231T2359: yearly 2025\n260105T0000: monthly 2026-01, yearly 2026, last good\n");
	EXPECT_KEPT(rows, &(struct keep_policy){.hourly = 3},
		    "260101T0000: hourly 2026-01-01T00\n260104T2359: hourly 2026-01-04T23\n"
		    "260105T0000: hourly 2026-01-05T00, last good\n");
}

TEST("within is counted from the newest good backup, so nothing ages when backups stop")
{
	static const char *const rows[] = {"20200101T020000Z", "20200102T020000Z", "20200103T020000Z", "20200104T020000Z bad"};

	EXPECT_KEPT(rows, &(struct keep_policy){.within = DURATION_SECONDS(86401)},
		    "200102T0200: within 1d\n200103T0200: within 1d, last good\n200104T0200: bad, but newer than the last good\n");
}

TEST("tags, pins and proof keep what the calendar would not")
{
	static const char *const rows[] = {"20200101T020000Z tag=release=1", "20200102T020000Z proven", "20200103T020000Z proven",
					   "20200104T020000Z pinned",
					   "20200105T020000Z tag=keep", "20200106T020000Z"};
	struct keep_policy p = {.last = 1};

	strlist_add(&p.tags, "release");
	strlist_add(&p.tags, "keep");
	EXPECT_KEPT(rows, &p,
		    "200101T0200: tag release\n200103T0200: newest proven\n200104T0200: pinned: audit\n200105T0200: tag keep\n"
		    "200106T0200: last 1 of 1, last good\n");
	strlist_release(&p.tags);
}

TEST("each kind and identity is counted for itself, and keeps its last good one")
{
	static const char *const rows[] = {"20200101T020000Z identity=old", "20200102T020000Z identity=old", "20260103T020000Z",
					   "20260103T030000Z kind=base",
					   "20260104T020000Z", "20260105T020000Z kind=base"};

	EXPECT_KEPT(rows, &(struct keep_policy){.last = 1},
		    "200102T0200: last 1 of 1, last good\n260104T0200: last 1 of 1, last good\n"
		    "260105T0200: last 1 of 1, last good\n");
}

TEST("bad backups stay while no newer good one replaces them, and count for no rule")
{
	static const char *const only[] = {"20200101T020000Z bad", "20200102T020000Z bad"};
	static const char *const mixed[] = {"20200101T020000Z bad", "20200102T020000Z", "20200103T020000Z bad"};

	EXPECT_KEPT(only, &(struct keep_policy){.last = 1},
		    "200101T0200: bad, but there is no good one\n200102T0200: bad, but there is no good one\n");
	EXPECT_KEPT(mixed, &(struct keep_policy){.last = 5},
		    "200102T0200: last 1 of 5, last good\n200103T0200: bad, but newer than the last good\n");
}

TEST("a suspect backup blocks, counts for nothing and stays")
{
	static const char *const rows[] = {"20200101T020000Z", "20200102T020000Z", "20200103T020000Z suspect"};
	CLEANUP(catalog_release) struct catalog c;
	CLEANUP(cstr_release) char *blocked = NULL;
	struct keep_decision d[3];

	make(&c, rows, 3);
	retention_decide(&(struct retention_input){.catalog = &c, .policy = &(struct keep_policy){.last = 1}, .now = {1}}, d,
			 &blocked);
	CHECK_HAS(blocked, "20200103T020000Z-0000 is suspect");
	CHECK(!d[0].keep && d[1].keep && d[2].keep);
	for (int i = 0; i < 3; i++)
		keep_decision_release(&d[i]);
}

TEST("pins in force and leases keep, pins of the past do not")
{
	static const char *const rows[] = {"20200101T020000Z pinned", "20200102T020000Z pinned", "20200103T020000Z",
					   "20200104T020000Z"};
	CLEANUP(strlist_release) struct strlist leased = STRLIST_INIT;
	CLEANUP(catalog_release) struct catalog c;
	CLEANUP(cstr_release) char *blocked = NULL;
	struct keep_decision d[4];

	make(&c, rows, 4);
	c.backup[0].pin[0].until = backup_id_time("20300101T000000Z-0000");
	c.backup[1].pin[0].until = backup_id_time("20200201T000000Z-0000");
	strlist_add(&leased, c.backup[2].manifest.id);
	const struct retention_input in = {.catalog = &c, .policy = &(struct keep_policy){.last = 1}, .leased = &leased,
					   .now = backup_id_time("20260101T000000Z-0000")};
	retention_decide(&in, d, &blocked);
	CHECK_STR(d[0].reasons.item[0], "pinned until 2030-01-01T00:00:00Z: audit");
	CHECK(!d[1].keep);
	CHECK_STR(d[2].reasons.item[0], "leased");
	for (int i = 0; i < 4; i++)
		keep_decision_release(&d[i]);
}

/* ---- suspect ---- */

static char *suspect(uint64_t rows_before, uint64_t rows_now, const char *tables_before, const char *tables_now,
		     uint64_t nonempty_now)
{
	struct manifest before = {.rows = rows_before, .raw = 1000, .nonempty_tables = 3},
		now = {.rows = rows_now, .raw = 1000, .nonempty_tables = nonempty_now};
	struct error err = ERROR_INIT;

	if (tables_before)
		CHECK_OK(js_parse(tables_before, strlen(tables_before), "before", &before.shrink, &err), err);
	if (tables_now)
		CHECK_OK(js_parse(tables_now, strlen(tables_now), "now", &now.shrink, &err), err);
	char *why = retention_suspect(&now, &before, 50);
	js_decref(&before.shrink);
	js_decref(&now.shrink);
	return why;
}

TEST("a backup is suspect when rows or bytes fell by more than the limit, or a table with rows has none")
{
	static const struct {
		uint64_t before, now;
		const char *tables_before, *tables_now;
		uint64_t nonempty;
		const char *why; /* NULL: fine */
	} cases[] = {
		{100, 50, NULL, NULL, 3, NULL},
		{100, 49, NULL, NULL, 3, "rows fell by 51 %, from 100 to 49"},
		{100, 900, NULL, NULL, 3, NULL},
		{0, 0, NULL, NULL, 3, NULL},
		{100, 100, NULL, NULL, 2, "2 tables have rows, 3 had"},
		{100, 99, "{\"s\\ta\": 5, \"s\\tb\": 0}", "{\"s\\ta\": 5}", 1, NULL},
		{100, 99, "{\"s\\ta\": 5}", "{\"s\\ta\": 0}", 0, "table s.a had rows and is empty or gone"},
		{100, 99, "{\"s\\ta\": 5}", "{\"s\\tb\": 5}", 1, "table s.a had rows and is empty or gone"},
		{100, 99, "{\"s\\ta\": 5, \"s\\tb\": 1}", "{}", 0, "2 tables had rows"},
		/* Not among the largest any more: it may have rows. */
		{100, 99, "{\"s\\ta\": 5}", "{\"s\\tb\": 5}", 3, NULL},
		{100, 99, "{\"s\\ta\": 5}", "{\"s\\tb\": 5}", 2, "2 tables have rows, 3 had"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cstr_release) char *why = suspect(cases[i].before, cases[i].now, cases[i].tables_before,
							  cases[i].tables_now, cases[i].nonempty);

		if (!cases[i].why != !why || (why && !strstr(why, cases[i].why)))
			test_fail(__FILE__, __LINE__, "case %zu: %s", i, why ? why : "(fine)");
	}
}

TEST("the limit of the suspect rule is a setting, and 100 turns it off")
{
	const struct manifest before = {.rows = 100, .raw = 100}, rows = {.rows = 80, .raw = 100}, raw = {.rows = 100, .raw = 10};
	CLEANUP(cstr_release) char *strict = retention_suspect(&rows, &before, 10), *bytes = retention_suspect(&raw, &before, 50);

	CHECK_HAS(strict, "fell by 20 %");
	CHECK_HAS(bytes, "bytes fell by 90 %");
	CHECK(!retention_suspect(&raw, &before, 100));
	CHECK(!retention_suspect(&rows, &before, 20));
}

TEST("rules of keep have a span, the longest of them")
{
	const struct duration day = DURATION_SECONDS(86400);

	CHECK_INT(keep_policy_span(&(struct keep_policy){0}, day).us, 0);
	CHECK_INT(keep_policy_span(&(struct keep_policy){.last = 3}, day).us, 3 * day.us);
	CHECK_INT(keep_policy_span(&(struct keep_policy){.last = 3}, (struct duration){0}).us, 0);
	CHECK_INT(keep_policy_span(&(struct keep_policy){.daily = 7, .weekly = 4, .within = day}, day).us, 28 * day.us);
	CHECK_INT(keep_policy_span(&(struct keep_policy){.yearly = UINT32_MAX}, day).us, INT64_MAX);
}
