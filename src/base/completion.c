/* Completion for bash, zsh and fish, out of the usage of each command. The scripts complete options, their files and choices, the words that are typed as they
 * stand where each belongs, and names that a command of the program lists; other names are left to the person. Any thread.
 *
 * Each script makes of what was typed a key, NUMBER/COMMAND/FIRST/SECOND/THIRD: how many words came after the command, and the first of them; options and
 * their values are passed over. What may come is what matches the key. */
#include <string.h>

#include "base/commands.h"
#include "base/completion_usage.h"
#include "base/util.h"

/* What is written into all three. */
struct script {
    FILE *out;
    const char *program;
    const struct command *table;
    size_t count;
    struct usage all; /* what every command takes */
    const struct commands_names *names;
};

/* --- Pieces --- */

static void put(FILE *out, struct usage_word w) { fprintf(out, "%.*s", (int)w.len, w.text); }

/* The first line, in single quotes; for zsh a colon ends what is described. */
static void put_quoted(FILE *out, const char *text, bool for_zsh)
{
    for (; *text != '\0' && *text != '\n'; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (for_zsh && *text == ':')
            fputs("\\:", out);
        else
            fputc(*text, out);
    }
}

/* The literal ones of alternatives, with `between` between them. */
static void put_choices(FILE *out, struct usage_word choices, const char *between)
{
    for (const char *before = ""; choices.len > 0;) {
        struct usage_word choice = usage_choice(&choices);
        if (!usage_is_literal(choice))
            continue;
        fputs(before, out);
        put(out, choice);
        before = between;
    }
}

/* The command that lists what one of the alternatives stands for, or NULL. */
static const char *lister_of(const struct script *s, struct usage_word choices)
{
    while (choices.len > 0) {
        struct usage_word choice = usage_choice(&choices);
        for (const struct commands_names *n = s->names; n != NULL && n->placeholder != NULL; n++)
            if (usage_is(choice, n->placeholder))
                return n->lister;
    }
    return NULL;
}

static void put_options(const struct usage *u, FILE *out)
{
    for (size_t i = 0; i < u->option_count; i++) {
        fputs(i > 0 ? " --" : "--", out);
        put(out, u->options[i].name);
    }
}

static void head(const struct script *s, const char *mark, const char *shell)
{
    fprintf(s->out, "%s# %s completion of %s, generated from its table of commands: %s completion %s\n", mark, shell,
            s->program, s->program, shell);
}

/* Calls write for each command's usage, and first for what every command takes, under the name "*". */
static void for_each(const struct script *s,
                     void (*write)(const struct script *s, const char *command, const struct usage *u))
{
    struct usage u;
    write(s, "*", &s->all);
    for (size_t i = 0; i < s->count; i++)
        if (s->table[i].name != NULL) {
            usage_read(&u, s->table[i].name, s->table[i].usage);
            write(s, s->table[i].name, &u);
        }
}

/* Patterns of a shell for keys, as [2-3]/keys/root/ and anything behind; one for each combination of first words. */
static void put_globs(FILE *out, const struct usage_place *p, const char *command)
{
    size_t counts[USAGE_PREFIX_MAX] = { 0 }, total = 1;
    for (size_t i = 0; i < p->prefix_count; i++) {
        for (struct usage_word w = p->prefix[i]; w.len > 0; counts[i]++)
            (void)usage_choice(&w);
        total *= counts[i];
    }
    for (size_t n = 0; n < total; n++) {
        fprintf(out, "%s[%u-%u]/%s/", n > 0 ? "|" : "", p->first, p->last, command);
        for (size_t i = 0, rest = n; i < p->prefix_count; rest /= counts[i++]) {
            struct usage_word w = p->prefix[i], choice = usage_choice(&w);
            for (size_t k = rest % counts[i]; k > 0; k--)
                choice = usage_choice(&w);
            put(out, choice);
            fputc('/', out);
        }
        fputc('*', out);
    }
}

/* --- bash and zsh: what they have in common --- */

/* COMMAND:--option of those that take a value, as alternatives of a case. */
static void put_valued(const struct script *s, const char *command, const struct usage *u)
{
    for (size_t i = 0; i < u->option_count; i++)
        if (u->options[i].value.len > 0) {
            fprintf(s->out, "|%s:--", command);
            put(s->out, u->options[i].name);
        }
}

static void put_places(const struct script *s, const char *command, const struct usage *u, const char *next)
{
    for (size_t i = 0; i < u->place_count; i++) {
        const struct usage_place *p = &u->places[i];
        const char *lister = lister_of(s, p->what);
        if (!usage_has_literal(p->what) && !usage_names_file(p->what) && lister == NULL)
            continue;
        fputs("    ", s->out);
        put_globs(s->out, p, command);
        fputs(") ", s->out);
        if (usage_has_literal(p->what)) {
            fputs("literals+=' ", s->out);
            put_choices(s->out, p->what, " ");
            fputs("'; ", s->out);
        }
        if (usage_names_file(p->what))
            fputs("files=yes; ", s->out);
        if (lister != NULL)
            fprintf(s->out, "names='%s'; ", lister);
        fprintf(s->out, "%s\n", next);
    }
}

/* --- bash --- */

static void bash_values(const struct script *s, const char *command, const struct usage *u)
{
    for (size_t i = 0; i < u->option_count; i++) {
        const struct usage_option *o = &u->options[i];
        const char *lister = lister_of(s, o->value);
        if (o->value.len == 0)
            continue;
        fprintf(s->out, "    %s:--", command);
        put(s->out, o->name);
        fputs(") ", s->out);
        if (usage_has_literal(o->value)) {
            fputs("literals='", s->out);
            put_choices(s->out, o->value, " ");
            fputs("'; ", s->out);
        }
        if (usage_names_file(o->value))
            fputs("files=yes; ", s->out);
        if (lister != NULL)
            fprintf(s->out, "names='%s'; ", lister);
        fputs("return 0 ;;\n", s->out);
    }
}

static void bash_options(const struct script *s, const char *command, const struct usage *u)
{
    if (strcmp(command, "*") == 0)
        return;
    fprintf(s->out, "    %s) options='", command);
    put_options(u, s->out);
    fputs("' ;;\n", s->out);
}

static void bash_places(const struct script *s, const char *command, const struct usage *u)
{
    put_places(s, command, u, ";;&");
}

/* What a program prints is a name a line, never text for the shell: compgen -W would expand it. */
static void bash(const struct script *s)
{
    FILE *out = s->out;
    const char *program = s->program;
    head(s, "", "bash");
    fprintf(out, "_%s_value() {\n    case $1 in\n", program);
    for_each(s, bash_values);
    fprintf(
        out,
        "    esac\n    return 1\n}\n"
        "_%s() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= options= literals= files= names=\n"
        "    local n=0 i word typed=() key name\n"
        "    COMPREPLY=()\n"
        "    [ \"$cur\" != = ] || cur=\n"
        "    [ \"$prev\" != = ] || prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        word=${COMP_WORDS[i]}\n"
        "        case ${command:-*}:$word in\n"
        "        -",
        program);
    for_each(s, put_valued);
    fputs(") [ \"${COMP_WORDS[i + 1]}\" != = ] || ((i++)); ((i++)) ;;\n        "
          "        *:-*) ;;\n"
          "        *) if [ -z \"$command\" ]; then command=$word; else typed+=(\"$word\"); fi ;;\n"
          "        esac\n"
          "    done\n"
          "    n=${#typed[@]}\n"
          "    [ $n -le 9 ] || n=9\n"
          "    key=$n/$command/${typed[0]}/${typed[1]}/${typed[2]}/\n",
          out);
    fprintf(out,
            "    if _%s_value \"$command:$prev\" || _%s_value \"*:$prev\"; then :\n"
            "    elif [ -z \"$command\" ]; then literals='",
            program, program);
    for (size_t i = 0; i < s->count; i++)
        if (s->table[i].name)
            fprintf(out, "%s ", s->table[i].name);
    fputs("help'\n    else\n    case $key in\n", out);
    for_each(s, bash_places);
    fputs("    esac\n    fi\n    case $command in\n", out);
    for_each(s, bash_options);
    fputs("    esac\n    case $cur in\n    -*) COMPREPLY=($(compgen -W \"$options ", out);
    put_options(&s->all, out);
    fprintf(out,
            "\" -- \"$cur\")); return ;;\n"
            "    esac\n"
            "    if [ -n \"$files\" ]; then\n"
            "        compopt -o filenames 2>/dev/null\n"
            "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
            "    fi\n"
            "    COMPREPLY+=($(compgen -W \"$literals\" -- \"$cur\"))\n"
            "    [ -z \"$names\" ] || while IFS= read -r name; do\n"
            "        [[ $name != \"$cur\"* ]] || COMPREPLY+=(\"$(printf %%q \"$name\")\")\n"
            "    done < <($names 2>/dev/null)\n"
            "}\n"
            "complete -F _%s %s\n",
            program, program);
}

/* --- zsh --- */

static void zsh_options(const struct script *s, const struct usage *u)
{
    for (size_t i = 0; i < u->option_count; i++) {
        const struct usage_option *o = &u->options[i];
        const char *lister = lister_of(s, o->value);
        fputs(" '--", s->out);
        put(s->out, o->name);
        if (o->value.len > 0 && usage_names_file(o->value)) {
            fputs(":file:_files", s->out);
        } else if (usage_has_literal(o->value)) {
            fputs(":value:(", s->out);
            put_choices(s->out, o->value, " ");
            fputc(')', s->out);
        } else if (lister != NULL) {
            fprintf(s->out, ":name:{ _%s_names \"%s\" }", s->program, lister);
        } else if (o->value.len > 0) {
            fputs(":value: ", s->out);
        }
        fputc('\'', s->out);
    }
}

static void zsh_arguments(const struct script *s, const char *command, const struct usage *u)
{
    if (strcmp(command, "*") == 0)
        return;
    fprintf(s->out, "    %s) _arguments", command);
    zsh_options(s, u);
    zsh_options(s, &s->all);
    fprintf(s->out, " '*: :_%s_words' ;;\n", s->program);
}

static void zsh_places(const struct script *s, const char *command, const struct usage *u)
{
    put_places(s, command, u, ";|");
}

static void zsh(const struct script *s)
{
    FILE *out = s->out;
    const char *program = s->program;
    fprintf(out, "#compdef %s\n", program);
    head(s, "", "zsh");
    fprintf(out,
            "_%s_names() { local -a found; found=(${(f)\"$(${(z)1} 2>/dev/null)\"}); compadd -a found }\n"
            "_%s_words() {\n"
            "    local command=$words[1] word key literals files names n=0 i; local -a typed found\n"
            "    for ((i = 2; i < CURRENT; i++)); do\n"
            "        word=$words[i]\n"
            "        case $command:$word in\n"
            "        -",
            program, program);
    for_each(s, put_valued);
    fputs(") ((i++)) ;;\n        "
          "        *:-*) ;;\n        *) typed+=($word) ;;\n        esac\n    done\n"
          "    n=$#typed; ((n <= 9)) || n=9\n"
          "    key=$n/$command/$typed[1]/$typed[2]/$typed[3]/\n"
          "    case $key in\n",
          out);
    for_each(s, zsh_places);
    fprintf(out,
            "    esac\n"
            "    found=(${=literals})\n"
            "    local failed=1\n"
            "    (($#found)) && compadd -a found && failed=0\n"
            "    [[ -n $names ]] && _%s_names $names && failed=0\n"
            "    [[ -n $files ]] && _files && failed=0\n"
            "    return failed\n"
            "}\n"
            "local curcontext=$curcontext state line\nlocal -a commands\ncommands=(\n",
            program);
    for (size_t i = 0; i < s->count; i++)
        if (s->table[i].name) {
            fprintf(out, "    '%s:", s->table[i].name);
            put_quoted(out, s->table[i].summary, true);
            fputs("'\n", out);
        }
    fputs("    'help:Lists every command.'\n)\n_arguments -C", out);
    zsh_options(s, &s->all);
    fputs(" '1:command:->command' '*::argument:->argument'\n"
          "case $state in\n"
          "command) _describe -t commands command commands ;;\n"
          "argument)\n"
          "    case $words[1] in\n",
          out);
    for_each(s, zsh_arguments);
    fputs("    esac\n    ;;\nesac\n", out);
}

/* --- fish --- */

/* -a of what may come, as it may: a list, names, files. */
static void fish_offer(const struct script *s, struct usage_word what)
{
    const char *lister = lister_of(s, what);
    if (usage_has_literal(what) || lister != NULL)
        fputs(" -a '", s->out);
    put_choices(s->out, what, " ");
    if (lister != NULL)
        fprintf(s->out, " (%s 2>/dev/null)", lister);
    if (usage_has_literal(what) || lister != NULL)
        fputc('\'', s->out);
}

static void fish_command(const struct script *s, const char *command, const struct usage *u)
{
    bool all = strcmp(command, "*") == 0;
    for (size_t i = 0; i < u->option_count; i++) {
        const struct usage_option *o = &u->options[i];
        fprintf(s->out, "complete -c %s", s->program);
        if (!all)
            fprintf(s->out, " -n '__%s_at \"^./%s/\"'", s->program, command);
        fputs(" -l ", s->out);
        put(s->out, o->name);
        if (o->value.len > 0)
            fputs(usage_names_file(o->value) ? " -r -F" : " -x", s->out);
        fish_offer(s, o->value);
        fputc('\n', s->out);
    }
    for (size_t i = 0; i < u->place_count; i++) {
        const struct usage_place *p = &u->places[i];
        bool files = usage_names_file(p->what);
        if (!files && !usage_has_literal(p->what) && lister_of(s, p->what) == NULL)
            continue;
        fprintf(s->out, "complete -c %s -n '__%s_at \"^[%u-%u]/%s/", s->program, s->program, p->first, p->last,
                command);
        for (size_t k = 0; k < p->prefix_count; k++) {
            fputc('(', s->out);
            put_choices(s->out, p->prefix[k], "|");
            fputs(")/", s->out);
        }
        fputs("\"'", s->out);
        if (files)
            fputs(" -F", s->out);
        fish_offer(s, p->what);
        fputc('\n', s->out);
    }
}

static void fish_valued(const struct script *s, const char *command, const struct usage *u)
{
    for (size_t i = 0; i < u->option_count; i++)
        if (u->options[i].value.len > 0) {
            fprintf(s->out, " '%s:--", command);
            put(s->out, u->options[i].name);
            fputc('\'', s->out);
        }
}

static void fish(const struct script *s)
{
    FILE *out = s->out;
    char p[64]; /* of variables */
    snprintf(p, sizeof(p), "%s", s->program);
    for (char *at = p; (at = strchr(at, '-')) != NULL;)
        *at = '_';
    head(s, "", "fish");
    fprintf(out, "set -g __%s_valued", p);
    for_each(s, fish_valued);
    /* the key is made once for a line: every condition asks for it */
    fprintf(out,
            "\nfunction __%s_at\n"
            "    set -l words (commandline -opc)\n"
            "    if test \"$words\" != \"$__%s_words\"; or not set -q __%s_key\n"
            "        set -g __%s_words \"$words\"\n"
            "        set -l command ''\n"
            "        set -l typed\n"
            "        set -l skip no\n"
            "        for word in $words[2..-1]\n"
            "            if test $skip = yes\n"
            "                set skip no\n"
            "            else if contains -- \"$command:$word\" $__%s_valued; or contains -- \"*:$word\" $__%s_valued\n"
            "                set skip yes\n"
            "            else if not string match -q -- '-*' $word\n"
            "                if test -z \"$command\"\n"
            "                    set command $word\n"
            "                else\n"
            "                    set -a typed $word\n"
            "                end\n"
            "            end\n"
            "        end\n"
            "        set -l n (count $typed)\n"
            "        test $n -le 9; or set n 9\n"
            "        set -a typed '' '' ''\n"
            "        set -g __%s_key \"$n/$command/$typed[1]/$typed[2]/$typed[3]/\"\n"
            "    end\n"
            "    string match -qr -- $argv[1] $__%s_key\n"
            "end\n"
            "complete -c %s -f\n"
            "complete -c %s -n '__%s_at \"^0//\"' -a help -d 'Lists every command.'\n",
            s->program, p, p, p, p, p, p, p, s->program, s->program, s->program);
    for (size_t i = 0; i < s->count; i++)
        if (s->table[i].name) {
            fprintf(out, "complete -c %s -n '__%s_at \"^0//\"' -a %s -d '", s->program, s->program, s->table[i].name);
            put_quoted(out, s->table[i].summary, false);
            fputs("'\n", out);
        }
    for_each(s, fish_command);
}

int commands_complete(const char *program, const char *shell, const struct command *table, size_t count,
                      const char *everywhere, const struct commands_names *names, FILE *out)
{
    static const struct {
        const char *name;
        void (*write)(const struct script *s);
    } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
    struct script s = { .out = out, .program = program, .table = table, .count = count, .names = names };
    usage_read(&s.all, "", everywhere != NULL ? everywhere : "");
    for (size_t i = 0; i < ARRAY_COUNT(shells); i++)
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].write(&s);
            return 0;
        }
    return COMMANDS_NO_SHELL;
}
