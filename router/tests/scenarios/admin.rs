//! What does whoever runs the shop see of the payments, and does anybody see what is secret?
