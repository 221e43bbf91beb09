# Sourced by scripts/bench (bash): one large file from device to device. Every round runs all of them in turn, so that what else this
# machine and its disk are doing meets all alike. Figures: results/NAME, a line a round: seconds, processor seconds.

transfer_mib=${HEARTH_BENCH_MIB:-1024}
transfer_rounds=${HEARTH_BENCH_ROUNDS:-5}

start_web() {
    local web=$scratch/web
    mkdir -p "$web/files"
    ln -f "$1" "$web/files/body"
    web_port=$(free_port)
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -keyout "$web/key" -out "$web/certificate" 2>/dev/null
    cat >"$web/nginx.conf" <<TEXT
daemon off; user $(id -un); worker_processes 1; pid $web/pid; error_log $web/errors;
events { worker_connections 64; }
http {
    access_log off; sendfile on; root $web/files;
    client_body_temp_path $web/t1; proxy_temp_path $web/t2; fastcgi_temp_path $web/t3; uwsgi_temp_path $web/t4; scgi_temp_path $web/t5;
    server {
        listen 127.0.0.1:$web_port ssl; ssl_protocols TLSv1.3;
        ssl_certificate $web/certificate; ssl_certificate_key $web/key;
    }
}
TEXT
    nginx -c "$web/nginx.conf" -e "$web/errors" >/dev/null 2>&1 &
    web_pid=$!
    wait_for "nginx" 10 port_answers "$web_port"
}

stop_web() {
    kill "$web_pid" && wait "$web_pid" 2>/dev/null || true
    web_pid=
}

# run NAME "PID..." COMMAND...: seconds of the command, and processor seconds of it and of the processes named.
run() {
    local name=$1 pids=$2 before after began ended self
    shift 2
    before=$(processor_seconds $pids)
    began=$(now)
    TIMEFORMAT='%U %S'
    self=$({ time "$@" >"$scratch/output" 2>&1; } 2>&1) || { cat "$scratch/output" >&2; return 1; }
    ended=$(now)
    after=$(processor_seconds $pids)
    awk -v s="$(minus "$ended" "$began")" -v p="$(minus "$after" "$before")" -v self="$self" \
        'BEGIN { split(self, t, " "); printf "%.3f %.3f\n", s, p + t[1] + t[2] }' >>"$results/$name"
}

by_curl() { curl -sk -o "$scratch/got" "https://127.0.0.1:$web_port/body" && sync "$scratch/got"; }
by_disk() { dd if="$scratch/body" of="$scratch/got" bs=1M conv=fsync status=none; }
by_net() { "$release/tests/net/bench-peer-transfer" fetch "127.0.0.1:$net_port" "$scratch/got" "$body_bytes"; }
# The first round brings the license with a certificate; the license stays, so that later ones fetch the content alone: the same bytes, checked alike.
by_hearth() {
    if [ -n "${copied:-}" ]; then
        on attic --json fetch Big --from kitchen
    else
        on kitchen --json copy Big --to attic
    fi
}

transfer_round() {
    local net_pid
    rm -f "$scratch/got"
    run curl "$(pgrep -P "$web_pid" | tr '\n' ' ')" by_curl
    rm -f "$scratch/got"
    exec {net_input}> >(exec "$release/tests/net/bench-peer-transfer" serve "$scratch/body" >"$scratch/port")
    net_pid=$!
    wait_for "the net bench" 10 test -s "$scratch/port"
    net_port=$(cat "$scratch/port")
    run net "$net_pid" by_net
    exec {net_input}>&-
    rm -f "$scratch/got" "$scratch/port"
    run hearth "$(processes_of kitchen | tr '\n' ' ') $(processes_of attic | tr '\n' ' ')" by_hearth
    copied=yes
    on attic --json remove Big >/dev/null
    run disk "" by_disk
    rm -f "$scratch/got"
}

transfer_line() { # TITLE NAME REACH
    awk -v title="$1" -v s="$(median "$results/$2" 1)" -v b="$(best "$results/$2" 1)" -v cpu="$(median "$results/$2" 2)" \
        -v peer="$(median "$results/curl" 1)" -v mib="$transfer_mib" -v reach="$3" \
        'BEGIN { printf "%-47s %7.3f %7.3f %8.0f %8.2f %7.2f  %s\n", title, s, b, mib * 1.048576 / s, cpu, peer / s, reach }'
}

bench_transfer() {
    results=$scratch/results
    body_bytes=$((transfer_mib * 1048576))
    mkdir -p "$results"
    make_file "$transfer_mib" "$scratch/body"
    start_web "$scratch/body"
    make_household "$scratch/body"
    on kitchen --json get Big --yes >/dev/null
    for _ in $(seq "$transfer_rounds"); do transfer_round; done
    say "$transfer_mib MiB over loopback to a file, synced; $transfer_rounds rounds"
    printf '%-47s %7s %7s %8s %8s %7s  %s\n' "" median best MB/s "CPU s" ratio reach
    transfer_line "nginx + curl HTTPS, sync" curl "1.00, the peer"
    transfer_line "hearth copy, then fetch: every block checked" hearth "1.15, or 1.40 where the disk is the limit"
    figure "$transfer_mib MiB from device to device, of nginx + curl" "$(awk -v p="$(median "$results/curl" 1)" -v s="$(median "$results/hearth" 1)" 'BEGIN { printf "%.2f", p / s }')" \
        "" least 1.15 "$(awk -v d="$(median "$results/disk" 1)" -v s="$(median "$results/hearth" 1)" -v c="$(median "$results/hearth" 2)" 'BEGIN { printf "dd and sync %.2f of its time; %.2f CPU s", d / s, c }')"
    transfer_line "net layer alone: TLS, SHA-256, write, sync" net ""
    transfer_line "dd conv=fsync" disk "the disk"
    stop_web
    end_household
    rm -rf "$scratch/body" "$results" "$scratch/web"
}
