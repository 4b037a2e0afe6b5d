#!/bin/sh
# Copies the keys that verify tokens of service accounts from the API of the cluster into the ConfigMap `workload-keys` of the
# own namespace, again every five minutes: clusters publish a key long before they sign with it. Whatever fails ends the program,
# to be started again. The file `published` is as old as the last success.
set -eu

api=${KUBERNETES_API:-https://kubernetes.default.svc}
identity=${IDENTITY:-/var/run/secrets/kubernetes.io/serviceaccount}
state=${STATE:-/state}

# The token comes by standard input: the list of processes is no place for it.
call() {
    printf 'authorization: Bearer %s\n' "$(cat "$identity/token")" \
        | curl --silent --show-error --fail --max-time 10 --cacert "$identity/ca.crt" --header @- "$@"
}

namespace=$(cat "$identity/namespace")
trap 'exit 0' TERM INT
while :; do
    keys=$(call "$api/openid/v1/jwks")
    case $keys in
        *'"kid"'*) ;;
        *) echo 'the API of the cluster answered no keys' >&2; exit 1 ;;
    esac
    # As a string in JSON.
    quoted=$(printf %s "$keys" | tr -d '\n' | sed 's/[\\"]/\\&/g')
    call --output /dev/null --request PATCH --header 'content-type: application/merge-patch+json' \
        --data "{\"data\":{\"jwks.json\":\"$quoted\"}}" "$api/api/v1/namespaces/$namespace/configmaps/workload-keys"
    : >"$state/published"
    echo 'the keys are published'
    sleep 300 &
    wait $!
done
