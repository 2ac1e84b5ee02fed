#! /bin/sh
CRCsum=@CRC@
MD5=@MD5@
skip=@SKIP@
skip_decompress=@SKIP_DECOMPRESS@
size_decompress=@SIZE_DECOMPRESS@
label="NVIDIA Accelerated Graphics Driver for Linux-x86_64 @VERSION@"
version_string=@VERSION@
pkg_version=@VERSION@
script=./nvidia-installer
targetdir=NVIDIA-Linux-x86_64-@VERSION@-grid
scriptargs=""
keep=n
TARGET_OS="Linux"
TARGET_ARCH="x86_64"

# SPDX-License-Identifier: Apache-2.0
# The archive's head: a stand-in for tests, in the manner of the real one.

archive=$0
onlyextract=n
TMPROOT=${TMPDIR:-/tmp}

MS_Help() {
    cat <<EOH
$0 [options]

This program will install the $label by unpacking
the embedded tarball and executing $script.

  --info --list --label --version-string --pkg-version --target-os --target-arch
  --target-directory --script --check -x|--extract-only --target <DIR> --keep
  --tmpdir <DIR> --extract-decompress -A|--help
      Options of the archive; all others are passed on to nvidia-installer.
EOH
}

MS_Check() {
    sums=`tail -n +4 "$archive" | cksum | sed 's/ .*//'`
    if [ "$sums" != "$CRCsum" ]; then
        echo "Error in checksums $sums $CRCsum"
        exit 2
    fi
    md5=`tail -n +4 "$archive" | md5sum | cut -b-32`
    if [ "$md5" != "$MD5" ]; then
        echo "Error in md5 sums $md5 $MD5"
        exit 2
    fi
}

MS_Decompressor() {
    tail -n +$skip_decompress "$archive" | head -n $size_decompress >"$1" && chmod +x "$1"
}

MS_Executable() {
    [ $onlyextract = n ] || return 0
    printf '#! /bin/sh\n' >"$1/template" && chmod +x "$1/template" && "$1/template" 2>/dev/null
    result=$?
    rm -f "$1/template"
    return $result
}

# The embedded one, or the system's where temporary files cannot be executed.
MS_FindDecompressor() {
    decompress="$TMPROOT/decompress$$"
    MS_Decompressor "$decompress" 2>/dev/null
    "$decompress" --version >/dev/null 2>&1 && return
    rm -f "$decompress"
    decompress=`command -v xz`
}

MS_dots() {
    while read -r name; do printf .; done
    echo
}

MS_Unpack() {
    tail -n +$skip "$archive" | "$decompress" -dc
}

while [ -n "$1" ]; do
    case "$1" in
        --info)
            echo "  Identification    : $label"
            echo "  Target directory  : $targetdir"
            echo "  Uncompressed size : @KILOBYTES@ KB"
            echo "  Compression       : xz"
            echo "  Date of packaging : Tue Mar 28 18:02:59 UTC 2023"
            echo "  Application run after extraction : $script"
            echo "  The directory $targetdir will be removed after extraction."
            exit 0
            ;;
        --label) echo "$label"; exit 0 ;;
        --version-string) echo "$version_string"; exit 0 ;;
        --pkg-version) echo "$pkg_version"; exit 0 ;;
        --target-os) echo "$TARGET_OS"; exit 0 ;;
        --target-arch) echo "$TARGET_ARCH"; exit 0 ;;
        --target-directory) echo "$targetdir"; exit 0 ;;
        --script) echo "$script"; exit 0 ;;
        --extract-decompress) MS_Decompressor ./decompress; exit 0 ;;
        --list) onlylist=y; shift ;;
        --check)
            MS_Check
            echo "check sums and md5 sums are ok"
            exit 0
            ;;
        -x | --extract-only) onlyextract=y; shift ;;
        --target) targetdir=$2; given_target=y; shift 2 ;;
        --tmpdir) TMPROOT=$2; scriptargs="$scriptargs --tmpdir $2"; shift 2 ;;
        --keep) keep=y; shift ;;
        -A | --help) MS_Help; exit 0 ;;
        *) scriptargs="$scriptargs $1"; shift ;;
    esac
done

if [ "`uname -m`" != "$TARGET_ARCH" ]; then
    echo "This program is for $TARGET_ARCH, not for `uname -m`."
    exit 1
fi

tmpdir="$TMPROOT/selfgz$$"
trap 'rm -f "$TMPROOT/decompress$$"; [ $keep = y ] || rm -rf "$tmpdir"; exit 15' 1 2 3 15

if [ "$onlylist" = y ]; then
    MS_FindDecompressor
    MS_Unpack | tar tvf -
    rm -f "$TMPROOT/decompress$$"
    exit 0
fi
if [ $onlyextract = y ] || [ $keep = y ] || [ "$given_target" = y ]; then
    if [ -e "$targetdir" ]; then
        echo "The directory '$targetdir' already exists.  Please either move it out of the way, or choose another one with '--target'."
        exit 1
    fi
    tmpdir=$targetdir
    keep=y
    echo "Creating directory $targetdir"
fi
mkdir -p "$tmpdir" 2>/dev/null || {
    echo "Cannot create target directory $tmpdir"
    exit 1
}
printf "Verifying archive integrity... "
[ "$SETUP_NOCHECK" = 1 ] || MS_Check
echo OK
if ! MS_Executable "$tmpdir"; then
    echo "ERROR: Temporary directory $TMPROOT is not executable"
    rmdir "$tmpdir"
    exit 1
fi
MS_FindDecompressor
printf "Uncompressing %s" "$label"
(MS_Unpack | (cd "$tmpdir" && tar xvpf - 2>/dev/null) || {
    { echo "Extraction failed." >/dev/tty; } 2>/dev/null
    kill -TERM $$
}) | MS_dots
rm -f "$TMPROOT/decompress$$"
[ $onlyextract = n ] || exit 0

cd "$tmpdir" || exit 1
$script $scriptargs
res=$?
cd /
[ $keep = y ] || rm -rf "$tmpdir"
exit $res
