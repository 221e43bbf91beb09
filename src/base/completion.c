/* Completion for bash, zsh and fish, out of the usage of each command. The scripts complete options, their files and choices, and words that are typed as
 * they stand; what names a thing of the household or of a distributor is left to the person. Any thread. */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/commands.h"
#include "base/util.h"

#define OPTIONS_MAX 64
#define WORDS_MAX 64

struct word {
    const char *text;
    size_t len;
};
struct option_of {
    struct word name;  /* without "--" */
    struct word value; /* empty: it is a flag */
};
/* What a usage says. Borrowed from it. */
struct usage {
    struct option_of options[OPTIONS_MAX];
    struct word words[WORDS_MAX];
    size_t option_count, word_count;
    bool files; /* an argument that is no option's value names a file or a directory */
};

static bool is(struct word w, const char *text) { return strlen(text) == w.len && memcmp(w.text, text, w.len) == 0; }
static bool same(struct word a, struct word b) { return a.len == b.len && memcmp(a.text, b.text, a.len) == 0; }

/* --- Reading a usage --- */

static bool names_file(struct word w)
{
    static const char *const names[] = { "FILE", "FILE...", "DIR", "F",       "OUT",
                                         "PATH", "PICTURE", "KEY", "REQUEST", "BACKUP" };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (is(w, names[i]))
            return true;
    return false;
}

static bool is_literal(struct word w)
{
    if (w.len < 2 || !islower((unsigned char)w.text[0]))
        return false;
    for (size_t i = 0; i < w.len; i++)
        if (!islower((unsigned char)w.text[i]) && w.text[i] != '-')
            return false;
    return true;
}

/* The next of the alternatives "a|b|c", which are shortened by it. */
static struct word next_choice(struct word *choices)
{
    const char *bar = memchr(choices->text, '|', choices->len);
    struct word w = { choices->text, bar ? (size_t)(bar - choices->text) : choices->len };
    size_t taken = bar ? w.len + 1 : w.len;
    choices->text += taken;
    choices->len -= taken;
    return w;
}

static void add_word(struct usage *u, struct word w)
{
    for (size_t i = 0; i < u->word_count; i++)
        if (same(u->words[i], w))
            return;
    if (u->word_count < WORDS_MAX)
        u->words[u->word_count++] = w;
}

static struct option_of *add_option(struct usage *u, struct word name)
{
    for (size_t i = 0; i < u->option_count; i++)
        if (same(u->options[i].name, name))
            return &u->options[i];
    if (u->option_count == OPTIONS_MAX)
        return NULL;
    u->options[u->option_count] = (struct option_of){ .name = name };
    return &u->options[u->option_count++];
}

static void add_argument(struct usage *u, struct word w)
{
    while (w.len > 0) {
        struct word choice = next_choice(&w);
        if (is_literal(choice))
            add_word(u, choice);
        u->files = u->files || names_file(choice);
    }
}

/* TIME|--chapter N: what stands behind the bar. NULL: there is none. */
static const char *behind_bar(struct word w)
{
    for (size_t i = 0; i + 3 <= w.len; i++)
        if (strncmp(w.text + i, "|--", 3) == 0)
            return w.text + i + 3;
    return NULL;
}

/* Brackets say what may be left out, a bar that stands alone what excludes each other: both end an option without a value. */
static void read_usage(struct usage *u, const char *name, const char *usage)
{
    static const char between[] = " \n[]()";
    struct option_of *waiting = NULL; /* an option whose value may come */
    bool begins = false;              /* a form after the first one: its first word is the command */
    *u = (struct usage){ 0 };
    for (const char *at = usage; *at != '\0';) {
        struct word w = { at, strcspn(at, between) };
        if (w.len == 0) {
            begins = begins || (*at == '\n' && at[1] != ' ');
            if (*at != ' ')
                waiting = NULL;
            at++;
            continue;
        }
        at += w.len;
        const char *inner = behind_bar(w);
        if (w.len > 2 && strncmp(w.text, "--", 2) == 0) {
            waiting = add_option(u, (struct word){ w.text + 2, w.len - 2 });
        } else if (is(w, "|")) {
            waiting = NULL;
        } else if (inner) {
            waiting = add_option(u, (struct word){ inner, w.len - (size_t)(inner - w.text) });
        } else if (waiting) {
            waiting->value = w;
            waiting = NULL;
        } else if (!begins || !is(w, name)) {
            add_argument(u, w);
        }
        begins = false;
    }
}

/* --- Writing --- */

/* In single quotes; for zsh a colon ends what is described. */
static void put_quoted(FILE *out, const char *text, bool for_zsh)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (for_zsh && *text == ':')
            fputs("\\:", out);
        else
            fputc(*text, out);
    }
}

static void put_words(const struct usage *u, FILE *out)
{
    for (size_t i = 0; i < u->word_count; i++)
        fprintf(out, "%s%.*s", i > 0 ? " " : "", (int)u->words[i].len, u->words[i].text);
}

/* The literal ones of a value's alternatives, with blanks between them; their number. */
static size_t put_choices(struct word value, FILE *out)
{
    size_t count = 0;
    while (value.len > 0) {
        struct word choice = next_choice(&value);
        if (!is_literal(choice))
            continue;
        fprintf(out, "%s%.*s", count > 0 ? " " : "", (int)choice.len, choice.text);
        count++;
    }
    return count;
}

static bool has_choices(struct word value)
{
    while (value.len > 0)
        if (is_literal(next_choice(&value)))
            return true;
    return false;
}

static void put_options(const struct usage *u, FILE *out)
{
    for (size_t i = 0; i < u->option_count; i++)
        fprintf(out, "%s--%.*s", i > 0 ? " " : "", (int)u->options[i].name.len, u->options[i].name.text);
}

static void head(const char *mark, const char *program, const char *shell, FILE *out)
{
    fprintf(out, "%s# %s completion of %s, generated from its table of commands: %s completion %s\n", mark, shell,
            program, program, shell);
}

/* --- bash --- */

static void bash_values(const struct usage *u, const char *command, FILE *out)
{
    for (size_t i = 0; i < u->option_count; i++) {
        const struct option_of *o = &u->options[i];
        if (o->value.len == 0)
            continue;
        fprintf(out, "    %s:--%.*s) ", command, (int)o->name.len, o->name.text);
        if (names_file(o->value)) {
            fputs("_files_of \"$cur\"; return ;;\n", out);
        } else if (has_choices(o->value)) {
            fputs("COMPREPLY=($(compgen -W \"", out);
            (void)put_choices(o->value, out);
            fputs("\" -- \"$cur\")); return ;;\n", out);
        } else {
            fputs("return ;;\n", out);
        }
    }
}

static void bash(const char *program, const struct command *table, size_t count, const struct usage *all, FILE *out)
{
    struct usage u;
    head("", program, "bash", out);
    fprintf(
        out,
        "_%s() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= options= words= files= i\n"
        "    _files_of() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$1\"); }\n"
        "    COMPREPLY=()\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case ${COMP_WORDS[i]} in\n",
        program);
    for (size_t i = 0; i < all->option_count; i++)
        if (all->options[i].value.len > 0)
            fprintf(out, "        --%.*s) ((i++)) ;;\n", (int)all->options[i].name.len, all->options[i].name.text);
    fputs(
        "        -*) ;;\n        *) command=${COMP_WORDS[i]}; break ;;\n        esac\n    done\n    case $command:$prev in\n",
        out);
    bash_values(all, "*", out);
    for (size_t i = 0; i < count; i++)
        if (table[i].name) {
            read_usage(&u, table[i].name, table[i].usage);
            bash_values(&u, table[i].name, out);
        }
    fputs("    esac\n    case $command in\n    '') words=\"", out);
    for (size_t i = 0; i < count; i++)
        if (table[i].name)
            fprintf(out, "%s ", table[i].name);
    fputs("help\" ;;\n", out);
    for (size_t i = 0; i < count; i++) {
        if (!table[i].name)
            continue;
        read_usage(&u, table[i].name, table[i].usage);
        fprintf(out, "    %s) options=\"", table[i].name);
        put_options(&u, out);
        fputs("\" words=\"", out);
        put_words(&u, out);
        fprintf(out, "\"%s ;;\n", u.files ? " files=yes" : "");
    }
    fputs("    esac\n    case $cur in\n    -*) COMPREPLY=($(compgen -W \"$options ", out);
    put_options(all, out);
    fprintf(out,
            "\" -- \"$cur\")) ;;\n"
            "    *)\n"
            "        [ -z \"$files\" ] || _files_of \"$cur\"\n"
            "        COMPREPLY+=($(compgen -W \"$words\" -- \"$cur\"))\n"
            "        ;;\n"
            "    esac\n"
            "}\n"
            "complete -F _%s %s\n",
            program, program);
}

/* --- zsh --- */

static void zsh_options(const struct usage *u, FILE *out)
{
    for (size_t i = 0; i < u->option_count; i++) {
        const struct option_of *o = &u->options[i];
        fprintf(out, " '--%.*s", (int)o->name.len, o->name.text);
        if (o->value.len > 0 && names_file(o->value)) {
            fputs(":file:_files", out);
        } else if (has_choices(o->value)) {
            fputs(":value:(", out);
            (void)put_choices(o->value, out);
            fputc(')', out);
        } else if (o->value.len > 0) {
            fputs(":value: ", out);
        }
        fputc('\'', out);
    }
}

static void zsh_arguments(const struct usage *u, FILE *out)
{
    if (u->files && u->word_count > 0) {
        fputs(" '*:argument:{ _alternative \"words:word:(", out);
        put_words(u, out);
        fputs(")\" \"files:file:_files\" }'", out);
    } else if (u->files) {
        fputs(" '*:file:_files'", out);
    } else if (u->word_count > 0) {
        fputs(" '*:word:(", out);
        put_words(u, out);
        fputs(")'", out);
    } else {
        fputs(" '*: : '", out);
    }
}

static void zsh(const char *program, const struct command *table, size_t count, const struct usage *all, FILE *out)
{
    struct usage u;
    fprintf(out, "#compdef %s\n", program);
    head("", program, "zsh", out);
    fputs("local curcontext=$curcontext state line\nlocal -a commands\ncommands=(\n", out);
    for (size_t i = 0; i < count; i++)
        if (table[i].name) {
            fprintf(out, "    '%s:", table[i].name);
            put_quoted(out, table[i].summary, true);
            fputs("'\n", out);
        }
    fputs("    'help:Lists every command.'\n)\n_arguments -C", out);
    zsh_options(all, out);
    fputs(" '1:command:->command' '*::argument:->argument'\n"
          "case $state in\n"
          "command) _describe -t commands command commands ;;\n"
          "argument)\n"
          "    case $words[1] in\n",
          out);
    for (size_t i = 0; i < count; i++) {
        if (!table[i].name)
            continue;
        read_usage(&u, table[i].name, table[i].usage);
        fprintf(out, "    %s) _arguments", table[i].name);
        zsh_options(&u, out);
        zsh_options(all, out);
        zsh_arguments(&u, out);
        fputs(" ;;\n", out);
    }
    fputs("    esac\n    ;;\nesac\n", out);
}

/* --- fish --- */

static void fish_options(const char *program, const char *condition, const char *command, const struct usage *u,
                         FILE *out)
{
    for (size_t i = 0; i < u->option_count; i++) {
        const struct option_of *o = &u->options[i];
        fprintf(out, "complete -c %s%s%s%s -l %.*s", program, condition, command, *command ? "'" : "", (int)o->name.len,
                o->name.text);
        if (o->value.len > 0 && names_file(o->value)) {
            fputs(" -r -F", out);
        } else if (has_choices(o->value)) {
            fputs(" -x -a '", out);
            (void)put_choices(o->value, out);
            fputc('\'', out);
        } else if (o->value.len > 0) {
            fputs(" -x", out);
        }
        fputc('\n', out);
    }
}

static void fish(const char *program, const struct command *table, size_t count, const struct usage *all, FILE *out)
{
    static const char seen[] = " -n '__fish_seen_subcommand_from ";
    struct usage u;
    head("", program, "fish", out);
    fprintf(out, "complete -c %s -f\ncomplete -c %s -n __fish_use_subcommand -a help -d 'Lists every command.'\n",
            program, program);
    fish_options(program, "", "", all, out);
    for (size_t i = 0; i < count; i++) {
        if (!table[i].name)
            continue;
        read_usage(&u, table[i].name, table[i].usage);
        fprintf(out, "complete -c %s -n __fish_use_subcommand -a %s -d '", program, table[i].name);
        put_quoted(out, table[i].summary, false);
        fputs("'\n", out);
        fish_options(program, seen, table[i].name, &u, out);
        if (u.word_count > 0) {
            fprintf(out, "complete -c %s%s%s' -a '", program, seen, table[i].name);
            put_words(&u, out);
            fputs("'\n", out);
        }
        if (u.files)
            fprintf(out, "complete -c %s%s%s' -F\n", program, seen, table[i].name);
    }
}

int commands_complete(const char *program, const char *shell, const struct command *table, size_t count,
                      const char *everywhere, FILE *out)
{
    static const struct {
        const char *name;
        void (*write)(const char *program, const struct command *table, size_t count, const struct usage *all,
                      FILE *out);
    } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
    struct usage all;
    read_usage(&all, "", everywhere ? everywhere : "");
    for (size_t i = 0; i < ARRAY_COUNT(shells); i++)
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].write(program, table, count, &all, out);
            return 0;
        }
    return COMMANDS_NO_SHELL;
}
