#include "core/log.h"

#include "core/notes.h"
#include "core/progress.h"
#include "tests/lib/test.h"

static const char *visible(const char *text)
{
	static struct buf b = BUF_INIT;

	buf_clear(&b);
	log_visible(&b, text);
	return buf_str(&b);
}

TEST("log: names cannot give orders to a terminal")
{
	CHECK_STR(visible("plain, größe, 日本"), "plain, größe, 日本");
	CHECK_STR(visible("a\nb\tc\rd"), "a\\nb\\tc\\rd");
	CHECK_STR(visible("\033[31mred\007"), "\\x1b[31mred\\x07");
	CHECK_STR(visible("\xff\xc3(\xe2\x82"), "\\xff\\xc3(\\xe2\\x82");
	CHECK_STR(visible("\xc2\x9b" "1m \xe2\x80\xae"), "\\u{009b}1m \\u{202e}");
	CHECK_STR(visible("\xc0\x80\xed\xa0\x80"), "\\xc0\\x80\\xed\\xa0\\x80");
}

TEST("notes: equal texts are kept once, and those beyond a thousand are counted")
{
	CLEANUP(notes_freep) struct notes *n = notes_new();
	CLEANUP(strlist_release) struct strlist list = STRLIST_INIT;

	notes_add(n, "same");
	notes_add(n, "same");
	for (int i = 0; i < 1005; i++)
		notes_add(n, "note %d", i);
	notes_copy(n, &list);
	CHECK_INT(list.len, 1001);
	CHECK_STR(list.item[0], "same");
	CHECK_STR(list.item[1000], "and 6 more notes that were not kept");
}

static void join(void *to, bool warning, const char *text) { buf_printf(to, "%s%s;", warning ? "!" : "", text); }

TEST("notes: those that only tell are no warnings, and all keep the order in which they came")
{
	CLEANUP(notes_freep) struct notes *n = notes_new();
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(strlist_release) struct strlist list = STRLIST_INIT;

	notes_tell(n, "how %d", 1);
	notes_add(n, "beware");
	notes_tell(n, "why");
	notes_each(n, join, &b);
	CHECK_STR(buf_str(&b), "how 1;!beware;why;");
	notes_copy(n, &list);
	CHECK_INT(list.len, 3);
}

TEST("progress: a display starts and ends at once, also where nothing is to be seen")
{
	struct run run = RUN_INIT;
	struct progress p = PROGRESS_INIT;
	struct progress_display *d;

	log_setup(&(struct log_config){.level = LOG_ERROR});
	d = progress_show(&run, &p, false);
	CHECK(!d);
	progress_hide(&d);
	log_setup(&(struct log_config){.level = LOG_INFO});
	d = progress_show(&run, &p, false);
	progress_hide(&d);
	CHECK(!d);
}
