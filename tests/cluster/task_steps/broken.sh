echo "about to break"
exit 3
