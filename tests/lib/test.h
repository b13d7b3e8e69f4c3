/* Unit tests: TEST("a sentence that states behaviour") { ... }. Each is independent and runs alone by a part of its name:
 * build/debug/unit 'part of the sentence'. A failing assertion prints both values and ends its test. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include "util/error.h"

struct test {
	const char *sentence, *file;
	int line;
	void (*fn)(void);
	struct test *next;
};
void test_register(struct test *t);

#define TEST_CAT_(a, b) a##b
#define TEST_CAT(a, b) TEST_CAT_(a, b)
#define TEST(text)                                                                                             \
	static void TEST_CAT(test_fn_, __LINE__)(void);                                                        \
	static struct test TEST_CAT(test_row_, __LINE__) = {text, __FILE__, __LINE__, TEST_CAT(test_fn_, __LINE__), NULL}; \
	__attribute__((constructor)) static void TEST_CAT(test_reg_, __LINE__)(void)                           \
	{                                                                                                      \
		test_register(&TEST_CAT(test_row_, __LINE__));                                                 \
	}                                                                                                      \
	static void TEST_CAT(test_fn_, __LINE__)(void)

void test_fail(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4) __attribute__((noreturn));
void test_skip(const char *reason) __attribute__((noreturn));
/* A 0700 folder of this test, removed after it. */
const char *test_dir(void);

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond))                                                   \
			test_fail(__FILE__, __LINE__, "not true: %s", #cond);  \
	} while (0)
#define CHECK_INT(got, expected)                                                                                      \
	do {                                                                                                          \
		long long got_ = (long long)(got), exp_ = (long long)(expected);                                      \
		if (got_ != exp_)                                                                                     \
			test_fail(__FILE__, __LINE__, "%s is %lld, expected %lld", #got, got_, exp_);                 \
	} while (0)
#define CHECK_STR(got, expected)                                                                                      \
	do {                                                                                                          \
		const char *got_ = (got), *exp_ = (expected);                                                         \
		if (!got_ || !exp_ || strcmp(got_, exp_))                                                             \
			test_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #got, got_ ? got_ : "(null)",       \
				  exp_ ? exp_ : "(null)");                                                            \
	} while (0)
#define CHECK_HAS(got, part)                                                                                          \
	do {                                                                                                          \
		const char *got_ = (got), *part_ = (part);                                                            \
		if (!got_ || !strstr(got_, part_))                                                                    \
			test_fail(__FILE__, __LINE__, "%s is \"%s\", expected to contain \"%s\"", #got,                     \
				  got_ ? got_ : "(null)", part_);                                                     \
	} while (0)
/* The call succeeds; e is the struct error it was given. */
#define CHECK_OK(call, e)                                                                                             \
	do {                                                                                                          \
		if ((call) != ST_OK)                                                                                  \
			test_fail(__FILE__, __LINE__, "%s failed: %s: %s", #call, status_name((e).code), error_text(&(e))); \
	} while (0)
/* The call fails with the code and a text that contains part; e is _INIT again afterwards. */
#define CHECK_ERR(call, e, expected_code, part)                                                                       \
	do {                                                                                                          \
		enum status st_ = (call);                                                                             \
		if (st_ != (expected_code) || !strstr(error_text(&(e)), part))                                        \
			test_fail(__FILE__, __LINE__, "%s gave %s \"%s\", expected %s with \"%s\"", #call, status_name(st_), \
				  error_text(&(e)), status_name(expected_code), part);                                \
		error_release(&(e));                                                                                  \
	} while (0)

#endif
