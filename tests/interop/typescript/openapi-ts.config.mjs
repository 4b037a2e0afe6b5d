// The input comes from the command line.
export default {
    output: { path: 'generated', importFileExtension: '.js' },
    plugins: ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'],
};
